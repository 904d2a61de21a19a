"""The pages of the reference, made from the code whenever the documentation is built, so that they cannot drift.

MkDocs calls :func:`on_files` (``hooks`` in ``mkdocs.yml``). Nothing of it is kept in the repository: a copy would have
to be made again with every change, and would be a conflict between any two of them.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Importing Airflow writes a configuration file into its home.
os.environ.setdefault("AIRFLOW_HOME", str(Path(__file__).resolve().parents[1] / ".cache" / "airflow-docs"))

# MkDocs runs this file, and tests import it, without its folder.
sys.path.append(str(Path(__file__).parent))

import erd

from airflow_provider_toggl.cli.commands import COMMANDS
from airflow_provider_toggl.core import errors, metrics
from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault
from airflow_provider_toggl.core.load.engines.snowflake import errors as snowflake
from airflow_provider_toggl.core.load.tables.meanings import REFERENCES, TABLE_MEANINGS, find_meaning
from airflow_provider_toggl.core.log_fields import FIELDS
from airflow_provider_toggl.core.operate.problems import PROBLEMS
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.get_provider_info import get_provider_info
from airflow_provider_toggl.hooks import duckdb
from airflow_provider_toggl.sandbox import control, mutate
from airflow_provider_toggl.sandbox import faults as sandbox_faults
from airflow_provider_toggl.sandbox.control import Control
from airflow_provider_toggl.sandbox.reports_v3 import detailed
from airflow_provider_toggl.sandbox.rest_v9 import workspaces
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.api import WebhookEndpoints

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PACKAGE = "airflow_provider_toggl"
ROOT = Path(__file__).resolve().parents[1]
#: What DAG authors call besides operators, sensors, triggers and the hook.
FUNCTIONS = {
    f"{PACKAGE}.assets": ("toggl_asset", "toggl_events", "toggl_files_asset"),
    f"{PACKAGE}.hooks.warehouse": ("read_df", "open_warehouse"),
    f"{PACKAGE}.hooks.files": ("list_files", "read_files", "remove_unpublished_files"),
    f"{PACKAGE}.hooks.days": ("find_changed_days", "compute_changed_days"),
    f"{PACKAGE}.sandbox.server": ("start_sandbox",),
}
_NONE = inspect.Parameter.empty


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the drawing of one, to those of the folder."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - who only wants the texts needs no MkDocs

    for name, text in {**pages(), "reference/tables.svg": draw_tables()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def pages() -> dict[str, str]:
    """Return the text of each page by its path below ``docs``."""
    info = get_provider_info()
    transfers = [transfer["python-module"] for transfer in info["transfers"]]
    named = {kind: info[kind][0]["python-modules"] for kind in ("hooks", "operators", "sensors", "triggers")}
    return {
        "reference/operators.md": _join(
            "Operators",
            "Each takes what every Airflow operator takes (`task_id`, `retries`, `outlets`, …), and what is listed.",
            *(part for name in [*transfers, *named["operators"]] for part in _classes(name, "Operator")),
        ),
        "reference/sensors.md": _join(
            "Sensors and triggers",
            "[Waiting for a change](../waiting.md) says how they are used.",
            *(part for name in named["sensors"] for part in _classes(name, "Sensor")),
            *(part for name in named["triggers"] for part in _classes(name, "Trigger")),
        ),
        "reference/hook.md": _join(
            "Hook and functions",
            "What Python code of yours may call.",
            *(part for name in named["hooks"] for part in _hook(name)),
            *(_function(name, function) for name, functions in FUNCTIONS.items() for function in functions),
        ),
        "reference/cli.md": _join(
            "Command line",
            "`airflow toggl …` is the same as `python -m airflow_provider_toggl …`. For the sandbox the latter also "
            "works where Airflow is not installed.",
            *(_command(name) for name in COMMANDS),
        ),
        "reference/configuration.md": _join(
            "Configuration",
            "[Connection](../connection.md) says how to set both.",
            _settings(info),
            _fields(info),
            "## Extra of a DuckDB connection",
            "[Warehouses](../warehouses.md#duckdb) has an example. What only Apache's hook uses, such as `dialect`, "
            "`placeholder` and `insert_statement_format`, is ignored. Other names are refused.",
            _duckdb_fields(),
        ),
        "reference/tables.md": _join(
            "Tables and views",
            "All fields that a warehouse has. The types are those of DuckDB; [Warehouses](../warehouses.md#types) has "
            "those of other engines. [Tables](../tables.md) explains live rows, the five times and progress.",
            "## Drawing",
            "Keys in bold. A line leads from a column to the table whose ID it has. Views are left out.",
            "[![The tables, and lines from each column that has the ID of another table's row to that table]"
            "(tables.svg)](tables.svg)",
            *_tables(),
        ),
        "reference/metrics.md": _join(
            "Metrics and log fields",
            "[Metrics and logs](../metrics.md) says how they are switched on and watched. Before each name stands "
            "Airflow's prefix, `airflow.` by default; every tag is on every measurement.",
            *_metrics(),
            "## Fields of log lines",
            _table(("Field", "Meaning"), [(f"`{name}`", _sentence(words)) for name, words in FIELDS.items()]),
        ),
        "reference/errors.md": _join(
            "Errors",
            f"All are in `{PACKAGE}.core.errors`. [Errors and what to do](../errors.md) has them in one table, with "
            "what is odd in Toggl's data and no error.",
            *(_error(error) for error in error_classes()),
            "## Codes of databases",
            "The codes that an engine's errors have, by the fault that they mean. "
            "[Why a database refused](../errors.md#why-a-database-refused) says what to do.",
            _database_codes(),
            "## Advice of engines",
            "What messages of Snowflake and ClickHouse say to do, where it differs from other engines.",
            _engine_advice(),
        ),
        "reference/problems.md": _join(
            "Problems",
            "What `airflow toggl doctor`, `airflow toggl status` and the page in the UI report, by check. "
            "[Find out what is wrong](../doctor.md) says what each check does.",
            *(_problems(check) for check in PROBLEMS),
        ),
        "reference/sandbox.md": _join(
            "Sandbox",
            "What [the sandbox](../sandbox.md) can be asked for.",
            "## Settings",
            "[Change them](../sandbox.md#settings) by request or option. The meaning of a true-or-false setting is "
            "what happens when it is true. The source says where the default comes from: **documented** by Toggl, or "
            "**observed** in recorded answers or by authors of clients. The others are invented; a client should work "
            "with every value of these.",
            _sandbox_settings(),
            "## Endpoints",
            "Of REST v9 and Reports v3. The lane says which quota a request counts against.",
            _table(("Path", "Methods", "Lane"), _endpoints()),
            "## Webhook endpoints",
            _table(("Request", "What it does"), _webhook_requests()),
            "## Control API",
            _table(("Request", "What it does"), _control_requests()),
            "## Changes",
            "The kinds of `POST /sandbox/mutate`. Those that are not ordinary happen only if `kinds` names them.",
            _table(("Kind", "Ordinary", "What it does"), list(_mutations())),
            "## Faults of requests",
            _table(("Kind", "Options and defaults", "What happens"), list(_faults("API_KINDS"))),
            "## Faults of deliveries",
            _table(("Kind", "Options and defaults", "What happens"), list(_faults("DELIVERY_KINDS"))),
        ),
    }


def error_classes() -> list[type[errors.TogglError]]:
    """Return the errors, each after what it is derived from."""
    return [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.TogglError)]


def public_classes(module: str, suffix: str) -> list[type]:
    """Return the classes that a module defines for DAG authors."""
    there = vars(importlib.import_module(module)).values()
    return [
        one
        for one in there
        if inspect.isclass(one)
        and one.__module__ == module
        and one.__name__.endswith(suffix)
        and not one.__name__.startswith("_")
    ]


def parameters(one: type) -> dict[str, inspect.Parameter]:
    """Return what a class is made with, its own bases' parameters included and Airflow's left out."""
    found: dict[str, inspect.Parameter] = {}
    for base in one.__mro__:
        if base.__module__.startswith(PACKAGE) and "__init__" in vars(base):
            given = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
            found |= {p.name: p for p in given if p.kind is not p.VAR_KEYWORD and p.name not in found}
    return found


def described(one: Any) -> dict[str, str]:
    """Return what the docstrings of a class and its bases, or of a function, say of each parameter."""
    bases = one.__mro__ if inspect.isclass(one) else (one,)
    found: dict[str, str] = {}
    for base in bases:
        if base.__module__.startswith(PACKAGE):
            for names, meaning in re.findall(
                r"^:param ([\w, ]+):\s*(.+?)(?=^:|\Z)", inspect.getdoc(base) or "", re.MULTILINE | re.DOTALL
            ):
                for name in names.split(", "):
                    found.setdefault(name, _plain(meaning))
    return found


# -- Python ----------------------------------------------------------------------------------------------------------


def _classes(module: str, suffix: str) -> Iterator[str]:
    for one in public_classes(module, suffix):
        templated = set(getattr(one, "template_fields", ()))
        yield _join_parts(
            f"## {one.__name__}", f"`{module}.{one.__name__}`", _prose(one), _parameters(one, templated), _raises(one)
        )


def _hook(module: str) -> Iterator[str]:
    yield from _classes(module, "Hook")
    for one in public_classes(module, "Hook"):
        for name, member in vars(one).items():
            if inspect.isfunction(member) and not name.startswith("_"):
                heading = f"### {one.__name__}.{name}"
                yield _join_parts(heading, _signature(member), _prose(member), _parameters(member), _raises(member))


def _function(module: str, name: str) -> str:
    function = getattr(importlib.import_module(module), name)
    return _join_parts(
        f"## {name}",
        f"`{module}.{name}`",
        _signature(function),
        _prose(function),
        _parameters(function),
        _raises(function),
    )


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.name != "self"]
    shown = signature.replace(parameters=[p.replace(annotation=_NONE) for p in given])
    return f"`{function.__name__}{shown}`".replace("'", "")


def _parameters(one: Any, templated: set[str] | frozenset[str] = frozenset()) -> str:
    meanings = described(one)
    if inspect.isclass(one):
        given = parameters(one)
    else:
        # A function's table is of what needs words; the signature above it has all.
        given = {n: p for n, p in inspect.signature(inspect.unwrap(one)).parameters.items() if n in meanings}
    if not given:
        return ""
    rows = []
    for name, parameter in given.items():
        default = "" if parameter.default is _NONE else f"`{parameter.default!r}`"
        type_ = "" if parameter.annotation is _NONE else f"`{_spelled_out(parameter.annotation, one)}`"
        words = _sentence(meanings.get(name, "").removesuffix(" (templated)"))
        rows.append((f"`{name}`", type_, default, words + (" Templated." if name in templated else "")))
    return _table(("Parameter", "Type", "Default", "Meaning"), rows)


def _spelled_out(annotation: Any, one: Any) -> str:
    """Return a type's name, and what a name stands for that a module has only for itself."""
    meant = getattr(inspect.getmodule(one), str(annotation), None)
    whole = str(annotation if meant is None or inspect.isclass(meant) else meant)
    return re.sub(r"\b(?:typing|collections\.abc)\.", "", whole)


def _prose(one: Any) -> str:
    text = (inspect.getdoc(one) or "").split("\n:")[0].strip()
    returned = re.search(r"^:returns?: *(.+?)(?=^:|\Z)", inspect.getdoc(one) or "", re.MULTILINE | re.DOTALL)
    return _plain(text, lines=True) + (f"\n\nReturns {_plain(returned[1])}" if returned else "")


def _raises(one: Any) -> str:
    found = re.findall(r"^:raises (\w+): *(.+?)(?=^:|\Z)", inspect.getdoc(one) or "", re.MULTILINE | re.DOTALL)
    return "\n".join(f"- Raises `{name}`: {_plain(when)}" for name, when in found)


def _error(error: type[errors.TogglError]) -> str:
    base = error.__bases__[0].__name__
    kind = f"A kind of [`{base}`](#{base.lower()})." if error is not errors.TogglError else ""
    carried = {
        name: words for name, words in described(error).items() if name not in described(error.__bases__[0]) or not kind
    }
    rows = [(f"`{name}`", _sentence(words)) for name, words in carried.items() if name != "message"]
    table = _table(("Carries", "Meaning"), rows) if rows else ""
    cure = documented_errors().get(error.__name__)
    advice = f"**What to do:** {cure}" if cure else ""
    return _join_parts(f"## {error.__name__}", kind, _prose(error), advice, table)


def documented_errors() -> dict[str, str]:
    """Return what the page about errors says is to be done about each, by its name."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]\w+)` \| ([^|]+) \|$", page, re.MULTILINE)
    # Links of that page lead on from a folder below it.
    return {name: re.sub(r"\]\((?!http)", "](../", _sentence(cure)) for name, cure in rows}


def _problems(check: str) -> str:
    rows = [(f"`{one.name}`", one.status.value, one.meaning, one.fix) for one in PROBLEMS[check]]
    return _join_parts(f"## {check}", _table(("Problem", "Status", "Meaning", "Fix"), rows))


_CODES: dict[str, Any] = {
    "PostgreSQL (SQLSTATE)": faults.POSTGRES,
    "MySQL, MariaDB": faults.MYSQL,
    "SQLite": faults.SQLITE,
    "Snowflake": faults.SNOWFLAKE,
    "BigQuery (reason)": faults.BIGQUERY,
    "ClickHouse": faults.CLICKHOUSE,
}


def _database_codes() -> str:
    rows = []
    for fault in DatabaseFault:
        if fault is DatabaseFault.OTHER:
            continue
        cells = []
        for table in _CODES.values():
            codes = sorted(str(code) for code, meant in table.items() if meant is fault)
            is_postgres = table is faults.POSTGRES
            cells.append(", ".join(f"class {code}" if is_postgres and len(code) == 2 else code for code in codes))
        rows.append((fault.value, *cells, "by its text" if fault in faults.DUCKDB.values() else ""))
    return _table(("Fault", *_CODES, "DuckDB"), rows)


def _engine_advice() -> str:
    rows: list[tuple[str, ...]] = [("Snowflake", fault.value, words) for fault, words in snowflake.ADVICE.items()]
    for engine, advice in (("Snowflake", snowflake.ADVICE_BY_CODE), ("ClickHouse", faults.CLICKHOUSE_ADVICE)):
        rows += [(engine, str(code), words) for code, words in sorted(advice.items())]
    return _table(("Engine", "Fault or code", "What to do"), rows)


def _sandbox_settings() -> str:
    described = re.findall(r"((?:^ +#: .+\n)+) +(\w+): ", inspect.getsource(Settings), re.MULTILINE)
    words = {name: " ".join(re.sub(r"(?m)^ +#: ", "", comment).split()) for comment, name in described}
    rows = []
    for name, default in Settings().as_dict().items():
        meaning, _, source = words.get(name, "").partition(" Source: ")
        rows.append((f"`{name}`", f"`{json.dumps(default)}`", meaning, source.removesuffix(".")))
    return _table(("Setting", "Default", "Meaning", "Source"), rows)


def _endpoints() -> list[tuple[str, ...]]:
    methods: dict[tuple[str, str], list[str]] = {}
    for route in (*workspaces.ROUTES, *detailed.ROUTES):
        methods.setdefault((route.shown, route.lane), []).append(route.method)
    return [(f"`{path}`", ", ".join(found), lane) for (path, lane), found in methods.items()]


def _webhook_requests() -> list[tuple[str, ...]]:
    nothing: Any = None  # only names and docstrings are read
    routes = WebhookEndpoints(nothing, nothing).routes()
    return [(f"`{route.method} {route.shown}`", _plain(inspect.getdoc(route.handler) or "")) for route in routes]


def _control_requests() -> list[tuple[str, ...]]:
    found = re.findall(r'\("(\w+)", "(\S+)", control\.(\w+)\)', inspect.getsource(control.routes))
    return [
        (f"`{method} {path}`", _plain(inspect.getdoc(getattr(Control, name)) or "")) for method, path, name in found
    ]


def _mutations() -> Iterator[tuple[str, ...]]:
    for name, (_, _, make) in mutate.KINDS.items():
        words = make.__doc__ or _sentence(name.replace("_", " "))
        yield f"`{name}`", "yes" if name in mutate.ORDINARY_KINDS else "", _plain(words)


def _comments(module: ModuleType) -> dict[str, str]:
    """Return the comment above each name of the tables in a module."""
    found = re.findall(r'((?:^    # .+\n)+)    "(\w+)"', inspect.getsource(module), re.MULTILINE)
    return {name: " ".join(re.sub(r"(?m)^    # ", "", comment).split()) for comment, name in found}


def _duckdb_fields() -> str:
    words = _comments(duckdb)
    return _table(
        ("Field", "Meaning"), [(f"`{name}`", words.get(name, "")) for name in (*duckdb.SETTINGS, *duckdb.OTHERS)]
    )


def _faults(kinds: str) -> Iterator[tuple[str, ...]]:
    words = _comments(sandbox_faults)
    for name, options in getattr(sandbox_faults, kinds).items():
        defaults = {one: json.dumps(value) for one, value in options.items() if value is not ...}
        shown = [f"`{one}` ({defaults[one]})" if one in defaults else f"`{one}`" for one in options]
        yield f"`{name}`", ", ".join(shown), words.get(name, "")


def _metrics() -> Iterator[str]:
    senders: dict[str, list[tuple[str, ...]]] = {}
    for name, metric in metrics.CATALOGUE.items():
        tags = "".join(f"<br>`{tag}`: {values}" for tag, values in metric.tags.items())
        senders.setdefault(metric.sender, []).append(
            (f"`{name}`", f"{metric.kind}, {metric.unit}", metric.meaning + tags)
        )
    for sender, rows in senders.items():
        yield "## From the " + " and ".join(sender.rsplit(", ", 1)).replace("task", "tasks")
        yield _table(("Metric", "Kind, unit", "Meaning and tags"), rows)


# -- the command line ------------------------------------------------------------------------------------------------


def build_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command as ``airflow toggl`` has it."""
    parser = argparse.ArgumentParser(prog=f"airflow toggl {name}")
    importlib.import_module(COMMANDS[name].module).add_arguments(parser)
    return parser


def _command(name: str) -> str:
    return _join_parts(f"## {name}", _sentence(COMMANDS[name].summary), *_arguments(build_parser(name)))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    rows = []
    nested: list[argparse.ArgumentParser] = []
    # Only argparse's own formatter has the defaults and metavars of a parser.
    formatter = parser._get_formatter()  # noqa: SLF001 - see above
    for action in parser._actions:  # noqa: SLF001 - see above
        if "--help" in action.option_strings:
            continue
        if isinstance(action.choices, dict):
            nested += dict.fromkeys(action.choices.values())
            continue
        value = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
        words = ", ".join(f"`{flag}`" for flag in action.option_strings) or f"`{action.dest}`"
        if action.option_strings and value:
            words += f" `{value}`"
        choices = f" One of {', '.join(f'`{c}`' for c in action.choices)}." if action.choices else ""
        meaning = _sentence(formatter._expand_help(action)) if action.help else ""  # noqa: SLF001 - see above
        rows.append((words, meaning + choices))
    yield "```text\n" + parser.format_usage().removeprefix("usage: ").strip() + "\n```"
    if rows:
        yield _table(("Argument", "Meaning"), rows)
    for one in nested:
        yield f"### {one.prog.removeprefix('airflow toggl ')}"
        yield from filter(None, (_sentence(one.description or ""), *_arguments(one)))


# -- configuration and tables ----------------------------------------------------------------------------------------


def _settings(info: dict[str, Any]) -> str:
    (section,) = info["config"]
    rows = [
        (
            f"`{name}`",
            option["type"],
            f"`{option['default']}`" if option["default"] else "",
            option["description"],
        )
        for name, option in info["config"][section]["options"].items()
    ]
    heads = ("Option", "Type", "Default", "Meaning")
    upper = section.upper()
    return _join_parts(
        f"## Section [{section}] of airflow.cfg {{ #settings }}",
        f"The environment variable of an option is `AIRFLOW__{upper}__` and its name in capitals: "
        f"`AIRFLOW__{upper}__{rows[0][0].strip('`').upper()}`.",
        _table(heads, rows),
    )


def _fields(info: dict[str, Any]) -> str:
    (kind,) = info["connection-types"]
    form = kind["ui-field-behaviour"]
    rows = [
        (f"`{name}`", label, "string", f"As in the form: {form['placeholders'][name]}")
        for name, label in form["relabeling"].items()
    ]
    for name, field in kind["conn-fields"].items():
        types = [one for one in field["schema"]["type"] if one != "null"]
        default = field["schema"].get("default")
        rows.append((
            f"`extra.{name}`",
            field["label"],
            f"{', '.join(types)}" + ("" if default is None else f", `{default}`"),
            field["description"],
        ))  # fmt: skip
    heads = ("Field", "Label", "Type", "Meaning")
    return _join_parts("## Connection of type toggl { #connection }", _table(heads, rows))


def warehouse_columns() -> dict[str, list[tuple[str, str]]]:
    """Return the columns of each table and view with their types."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, type_ in _warehouse()[0]:
        found.setdefault(table, []).append((column, type_.lower()))
    return found


def warehouse_keys() -> dict[str, list[str]]:
    """Return the columns of the primary key of each table, none for a table without one."""
    return dict(_warehouse()[1])


@cache
def _warehouse() -> tuple[list[tuple[str, str, str]], list[tuple[str, list[str]]]]:
    """Return the columns and keys of a warehouse that is made for it."""
    import duckdb  # noqa: PLC0415 - only here

    from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse  # noqa: PLC0415 - loads DuckDB

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "warehouse.duckdb"
        with build_duckdb_warehouse(file, schema="toggl") as target:
            target.prepare()
        with duckdb.connect(str(file), read_only=True) as connection:
            columns = connection.sql(
                "select table_name, column_name, data_type from information_schema.columns "
                "where table_schema = 'toggl' order by table_name, ordinal_position"
            ).fetchall()
            keys = connection.sql(
                "select t.table_name, coalesce(c.constraint_column_names, []) from duckdb_tables() t left join "
                "duckdb_constraints() c on c.table_oid = t.table_oid and c.constraint_type = 'PRIMARY KEY' "
                "where t.schema_name = 'toggl' order by t.table_name"
            ).fetchall()
    return columns, keys


def _tables() -> Iterator[str]:
    found = warehouse_columns()
    for table in dict.fromkeys(name for name in (*STREAMS, *TABLE_MEANINGS, *found) if name in found):
        rows = [(f"`{name}`", type_, find_meaning(table, name)) for name, type_ in found[table]]
        about = _stream(table) if table in STREAMS else TABLE_MEANINGS.get(table, "")
        yield _join_parts(f"## {table}", about, _table(("Column", "Type", "Meaning"), rows))


def _stream(name: str) -> str:
    stream = STREAMS[name]
    events = f" Webhooks report it as `{stream.entity}`." if stream.entity else " Webhooks do not report it."
    return f"Stream `{name}`, from `{stream.path}`.{events}"


def draw_tables() -> str:
    """Return the tables and what they refer to as a drawing."""
    columns = {table: [name for name, _ in found] for table, found in warehouse_columns().items()}
    keys = {table: keys for table, keys in warehouse_keys().items() if table in columns}
    order = [table for table in (*STREAMS, *TABLE_MEANINGS) if table in columns and table in keys]
    return erd.draw({table: columns[table] for table in order}, keys, REFERENCES)


# -- Markdown --------------------------------------------------------------------------------------------------------


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    # Between backticks both are what they are; elsewhere one would begin a cell, the other a tag.
    parts = text.split("`")
    parts[::2] = [re.sub(r"<(?!br>)", "&lt;", part.replace("|", "\\|")) for part in parts[::2]]
    return "`".join(parts)


def _sentence(text: str) -> str:
    """Return a sentence as it is written: with a capital, and an end."""
    text = f"{text[:1].upper()}{text[1:]}"
    return text if not text or text.endswith((".", ":")) else f"{text}."


def _plain(text: str, *, lines: bool = False) -> str:
    """Turn what a docstring says into Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    text = re.sub(r"(?m)::$", ":", text)
    return text if lines else " ".join(text.split())


def _join_parts(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part)


def _join(title: str, *parts: str) -> str:
    return _join_parts(f"# {title}", *parts) + "\n"
