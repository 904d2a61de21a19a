"""The reference, which is made from the code, has all of what is public, in words."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from xml.etree import ElementTree as ET

import pytest
from support.repository import ROOT, pages, reference
from support.sandboxes import build_still_world

from airflow_provider_toggl.cli.commands import COMMANDS
from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault
from airflow_provider_toggl.core.load.tables.meanings import OWN, REFERENCES, TABLE_MEANINGS, find_meaning
from airflow_provider_toggl.core.load.tables.schemas import TABLES, VERSIONS
from airflow_provider_toggl.core.log_fields import FIELDS
from airflow_provider_toggl.core.operate.problems import PROBLEMS
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.get_provider_info import get_provider_info
from airflow_provider_toggl.hooks import duckdb
from airflow_provider_toggl.sandbox.control import Sandbox, routes
from airflow_provider_toggl.sandbox.faults import API_KINDS, DELIVERY_KINDS
from airflow_provider_toggl.sandbox.mutate import KINDS
from airflow_provider_toggl.sandbox.settings import Settings


def named_classes() -> list[type]:
    info = get_provider_info()
    modules = [
        name for kind in ("operators", "sensors", "triggers", "hooks") for name in info[kind][0]["python-modules"]
    ]
    modules += [transfer["python-module"] for transfer in info["transfers"]]
    suffixes = ("Operator", "Sensor", "Trigger", "Hook")
    return [one for name in modules for suffix in suffixes for one in reference().public_classes(name, suffix)]


def section(page: str, heading: str) -> str:
    """Return what stands below a heading."""
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", pages()[page], re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {heading}"
    return found[1]


def row(text: str, name: str) -> str:
    """Return the last cell of the row of that name, which says what it means."""
    found = re.search(rf"^\| `{re.escape(name)}`(?: `.+?`)? \|(.*)\|$", text, re.MULTILINE)
    assert found, f"there is no row {name}"
    return re.split(r"(?<!\\)\|", found[1])[-1].strip()


def test_every_parameter_of_every_public_class_is_there_and_described() -> None:
    found = named_classes()
    assert len(found) >= 13
    for one in found:
        page = next(name for name, text in pages().items() if f"## {one.__name__}\n" in text)
        for name in reference().parameters(one):
            assert row(section(page, one.__name__), name).replace("Templated.", "").strip(), f"{one.__name__}: {name}"


def test_what_a_docstring_describes_is_a_parameter() -> None:
    for one in named_classes():
        assert set(reference().described(one)) <= set(reference().parameters(one)), one.__name__


def test_every_method_of_the_hook_is_there() -> None:
    from airflow_provider_toggl.hooks.toggl import TogglHook

    methods = [name for name, one in vars(TogglHook).items() if inspect.isfunction(one) and not name.startswith("_")]
    assert [name for name in methods if f"### TogglHook.{name}\n" not in pages()["reference/hook.md"]] == []


def test_every_setting_and_field_is_there_and_described() -> None:
    page, info = pages()["reference/configuration.md"], get_provider_info()
    for name in info["config"]["toggl"]["options"]:
        assert row(page, name).endswith(".")
    for name in info["connection-types"][0]["conn-fields"]:
        assert row(page, f"extra.{name}").endswith(".")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_there_and_described(command: str) -> None:
    text = section("reference/cli.md", command)
    help_text = reference().build_parser(command).format_help()
    options = set(re.findall(r"--[a-z-]+", help_text)) - {"--help"}
    assert [option for option in options if not row(text, option)] == []
    assert [line for line in text.splitlines() if line.startswith("|") and line.endswith("|  |")] == []


def test_every_column_of_every_stream_is_there() -> None:
    for table in (*TABLES.values(), VERSIONS):
        text = section("reference/tables.md", table.name)
        assert [column.name for column in table.columns if f"| `{column.name}` |" not in text] == []


def test_every_column_of_every_table_and_view_has_a_meaning_and_no_meaning_is_of_a_column_that_is_gone() -> None:
    there = {table: {name for name, _ in columns} for table, columns in reference().warehouse_columns().items()}
    assert [f"{table}.{name}" for table in there for name in there[table] if not find_meaning(table, name)] == []
    assert set(there) <= STREAMS.keys() | TABLE_MEANINGS.keys()
    own = {f"{table}.{name}" for table, meanings in OWN.items() if table in there for name in meanings}
    assert own <= {f"{table}.{name}" for table in there for name in there[table]}


def test_a_table_of_a_stream_says_where_its_rows_come_from() -> None:
    for stream in STREAMS.values():
        assert f"Stream `{stream.name}`, from `{stream.path}`." in section("reference/tables.md", stream.name)


def test_the_drawing_has_every_table_and_every_reference() -> None:
    root = ET.fromstring(reference().draw_tables())
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    words = root.findtext("{http://www.w3.org/2000/svg}desc") or ""
    for table in (*TABLES.values(), VERSIONS):
        assert table.name in texts
        names = [column.name for column in table.columns if REFERENCES.get(column.name) in TABLES]
        assert [name for name in names if f"{table.name}.{name} is an id of {REFERENCES[name]}" not in words] == []


def test_the_views_and_the_tables_of_progress_are_there() -> None:
    for name in ("live_time_entries", "time_entry_facts", "time_entry_changes", "sync_state", "rejected_records"):
        assert "| `" in section("reference/tables.md", name)


def test_every_error_is_there_and_one_that_can_be_raised_says_what_to_do() -> None:
    every = reference().error_classes()
    bases = {one.__base__ for one in every}
    documented = reference().documented_errors().keys()
    assert {one.__name__ for one in every if one not in bases} <= documented <= {one.__name__ for one in every}
    advice = re.compile(r"^\*\*What to do:\*\* .+", re.MULTILINE)
    for one in every:
        text = section("reference/errors.md", one.__name__)
        assert one is errors.TogglError or f"[`{one.__base__.__name__}`]" in text
        assert one in bases or advice.search(text), one.__name__


def test_every_field_of_log_lines_and_every_problem_is_there() -> None:
    text = section("reference/metrics.md", "Fields of log lines")
    assert [name for name in FIELDS if not row(text, name)] == []
    for check, problems in PROBLEMS.items():
        text = section("reference/problems.md", check)
        assert [one.name for one in problems if not row(text, one.name)] == []


def test_every_setting_of_the_sandbox_is_there_and_described() -> None:
    page = pages()["reference/sandbox.md"]
    rows = dict(re.findall(r"^\| `(\w+)` \| `.+?` \| (.*?) \| .*\|$", page, re.MULTILINE))
    assert rows.keys() == {setting.name for setting in fields(Settings)}
    assert [name for name, meaning in rows.items() if not meaning.endswith(".")] == []


def test_every_field_of_a_duckdb_connection_is_there_and_described() -> None:
    text = section("reference/configuration.md", "Extra of a DuckDB connection")
    assert [name for name in (*duckdb.SETTINGS, *duckdb.OTHERS) if not row(text, name)] == []


def test_every_request_change_and_fault_of_the_sandbox_is_there_and_described() -> None:
    sandbox = Sandbox.around(build_still_world(entries=0))
    expected = {
        "Control API": [
            f"{method} {route.path}" for route in routes(sandbox) for method in (route.methods or set()) - {"HEAD"}
        ],
        "Changes": list(KINDS),
        "Faults of requests": list(API_KINDS),
        "Faults of deliveries": list(DELIVERY_KINDS),
    }
    for heading, names in expected.items():
        rows = re.findall(r"^\| `([^`]+)` \|(.+)\|$", section("reference/sandbox.md", heading), re.MULTILINE)
        described = [name for name, cells in rows if cells.split(" | ")[-1].strip()]
        assert sorted(described) == sorted(names), heading


def test_every_code_of_a_database_error_is_there_and_its_fault_has_advice() -> None:
    text = section("reference/errors.md", "Codes of databases")
    assert [
        code
        for table in (faults.POSTGRES, faults.MYSQL, faults.SQLITE, faults.SNOWFLAKE, faults.CLICKHOUSE)
        for code in table
        if str(code) not in text
    ] == []
    guide = (ROOT / "docs" / "errors.md").read_text()
    for fault in set(DatabaseFault) - {DatabaseFault.OTHER}:
        assert f"| {fault.value} | " in text
        assert re.search(rf"^\| {fault.value} \| .+ \|$", guide, re.MULTILINE), fault


TABLE = re.compile(r"^\| Parameter of `(\w+)` \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)


def test_a_guides_table_of_parameters_names_only_parameters_that_exist() -> None:
    classes = {one.__name__: one for one in named_classes()}
    found = [match for page in (ROOT / "docs").rglob("*.md") for match in TABLE.finditer(page.read_text())]
    for match in found:
        named = {name for line in match[2].splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
        assert named <= reference().parameters(classes[match[1]]).keys(), match[1]
