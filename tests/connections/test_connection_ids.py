"""Every place that takes the ID of a connection, with connections that cannot be used there.

One place of each kind tries every bad connection. All other places try those of :data:`ANYWHERE`, because they look
connections up in the same way.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.connections import Connections
from test_templates import OPERATORS, build, parameters

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.cli.commands import COMMANDS
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.hooks.days import compute_changed_days, find_changed_days
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.subscriptions import open_webhooks
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox

pytestmark = pytest.mark.airflow

PASSWORD = "the-password-of-the-server"
POSTGRES = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "me", "password": PASSWORD}

Table = dict[str, tuple[dict[str, Any] | None, str]]

#: A connection that cannot be used, by its kind: its fields (None: there is no such connection), and what is said.
BAD_TOGGL: Table = {
    "missing": (None, "There is no connection 'bad'"),
    "wrong_type": (POSTGRES, "of type 'postgres'; toggl_conn_id needs"),
    "no_type": ({"host": "https://toggl.example", "password": "t" * 32}, "has no type; toggl_conn_id needs"),
    "extra_is_a_list": ({"conn_type": "toggl", "password": "t" * 32, "extra": "[1]"}, "not a JSON object"),
}
#: Faults that only requests to Toggl find. The port is the sandbox's.
BAD_FOR_REQUESTS: Table = {
    "host_without_scheme": ({"conn_type": "toggl", "host": "127.0.0.1:{port}"}, "without http:// or https://"),
    "host_without_tls": ({"conn_type": "toggl", "host": "https://127.0.0.1:{port}"}, "does not answer in TLS"),
    "wrong_port": ({"conn_type": "toggl", "host": "http://127.0.0.1:1"}, "connection to 127.0.0.1:1 failed"),
    "two_ports": ({"conn_type": "toggl", "host": "http://127.0.0.1:{port}", "port": 1}, "has two ports"),
    "no_token": ({"conn_type": "toggl", "host": "http://127.0.0.1:{port}", "password": " \n"}, "has no API token"),
}
BAD_STORE: Table = {
    "missing": (None, "There is no connection 'bad'"),
    "wrong_type": ({"conn_type": "toggl"}, "of type 'toggl'; event_store_conn_id needs"),
    "another_database": ({"conn_type": "mysql", "host": "db"}, "of type 'mysql'; event_store_conn_id needs"),
    "no_type": ({"host": "db"}, "has no type; event_store_conn_id needs"),
    "wrong_port": (POSTGRES, "127.0.0.1"),
    "in_memory": ({"conn_type": "sqlite", "host": ":memory:"}, "in memory is lost"),
}
BAD_WAREHOUSE: Table = {
    "missing": (None, "There is no connection 'bad'"),
    "wrong_type": ({"conn_type": "toggl"}, "of type 'toggl'; warehouse_conn_id needs"),
    "no_type": ({"host": "db"}, "has no type; warehouse_conn_id needs"),
    "missing_provider": ({"conn_type": "db2", "host": "x"}, "apache-airflow-providers-db2"),
    "type_without_a_hook": ({"conn_type": "generic", "host": "x"}, "of type 'generic'"),
    "wrong_port": (POSTGRES, "127.0.0.1"),
    "no_port": ({**POSTGRES, "host": "127.0.0.1:port", "port": None}, "ends in port 'port'"),
    "url_as_host": ({**POSTGRES, "host": f"postgresql://me:{PASSWORD}@db/x"}, "is a URL"),
    "in_memory": ({"conn_type": "duckdb", "host": ":memory:"}, "in memory is lost"),
    "motherduck": ({"conn_type": "duckdb", "host": "md:mine"}, "is one to MotherDuck"),
    "refused_type": ({"conn_type": "redshift", "host": "db"}, "of type 'redshift', which cannot be loaded into"),
}
BLANK_ID = (None, "is ' '; it must be the ID of a connection")
#: Bad connections that every place tries.
ANYWHERE = ("missing", "wrong_type", "blank")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=5, days=5) as running:
        yield running


@pytest.fixture(autouse=True)
def _good_ones(connections: Connections, sandbox: RunningSandbox) -> None:
    connections.toggl(sandbox)
    connections.duckdb()


def set_bad(connections: Connections, sandbox: RunningSandbox, table: Table, kind: str) -> tuple[str, str]:
    """Set a connection of a table of bad ones; return its ID, and the words of the error."""
    fields, words = BLANK_ID if kind == "blank" else table[kind]
    if fields is not None:
        if fields.get("conn_type") == "toggl":
            fields = {"password": sandbox.token, "extra": {"workspace_id": sandbox.workspace_id}, **fields}
        if "host" in fields:
            fields = {**fields, "host": fields["host"].replace("{port}", sandbox.url.rsplit(":", 1)[1])}
        connections.set("bad", **fields)
    return " " if kind == "blank" else "bad", words


# -- commands ----------------------------------------------------------------------------------------------------------

#: The words of each command that takes the ID of a connection, without that option.
COMMAND_LINES: dict[str, list[str]] = {
    "quota": ["quota"],
    "plan": ["plan"],
    "subscriptions": ["subscriptions", "list"],
    "receiver": ["receiver", "--port", "0"],
    "status": ["status"],
    "doctor": ["doctor", "--no-ping", "--timeout", "3"],
    "events list": ["events", "list"],
    "events tail": ["events", "tail", "--once"],
    "events count": ["events", "count"],
    "events show": ["events", "show", "1"],
    "events prune": ["events", "prune", "--older-than", "30d"],
    "events consumers": ["events", "consumers"],
}
#: Commands that send nothing to Toggl.
SILENT = [name for name in COMMAND_LINES if name.startswith("events")] + ["receiver", "status"]


def options_for_connections() -> set[tuple[str, str]]:
    """Return every option of a command that takes the ID of a connection, from the parsers themselves."""
    found = set()

    def walk(name: str, parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for word, below in action.choices.items():
                    walk(f"{name} {word}", below)
            elif action.dest.endswith("conn_id") or action.dest == "connections":
                found.add((name, action.option_strings[0]))

    for command in COMMANDS.values():
        if command.name == "sandbox":
            continue  # its --conn-id only names the connection that it prints
        parser = argparse.ArgumentParser()
        importlib.import_module(command.module).add_arguments(parser)
        walk(command.name, parser)
    return found


TOGGL_OPTION = {name: "--connections" if name == "receiver" else "--conn-id" for name in COMMAND_LINES}
WAREHOUSE_COMMANDS = ("plan", "status", "doctor")


def test_every_option_for_a_connection_is_tried_here() -> None:
    warehouses = {(name, "--warehouse-conn-id") for name in WAREHOUSE_COMMANDS}
    assert options_for_connections() == {*TOGGL_OPTION.items()} | warehouses


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command, which must end with 1 within seconds, and return what it printed."""
    began = time.monotonic()
    assert main(arguments) == 1
    assert time.monotonic() - began < 30
    captured = capsys.readouterr()
    said = f"{captured.out}{captured.err}"
    assert "Traceback" not in said
    assert PASSWORD not in said
    return said


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name in COMMAND_LINES
        for kind in (*BAD_TOGGL, *BAD_FOR_REQUESTS, "blank")
        if (name == "quota" or kind in ANYWHERE) and (name, kind) != ("receiver", "blank")
    ],
)
def test_a_command_says_what_is_wrong_with_a_toggl_connection(
    connections: Connections, sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    conn_id, words = set_bad(connections, sandbox, {**BAD_TOGGL, **BAD_FOR_REQUESTS}, kind)
    assert words in refused(capsys, *COMMAND_LINES[name], TOGGL_OPTION[name], conn_id)


@pytest.mark.parametrize(("name", "kind"), list(itertools.product(WAREHOUSE_COMMANDS, ANYWHERE)))
def test_a_command_says_what_is_wrong_with_a_warehouse_connection(
    connections: Connections, sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    conn_id, words = set_bad(connections, sandbox, BAD_WAREHOUSE, kind)
    assert words in refused(capsys, *COMMAND_LINES[name], "--warehouse-conn-id", conn_id)


@pytest.mark.parametrize(("name", "kind"), list(itertools.product([*SILENT, "doctor"], ("missing", "wrong_type"))))
def test_a_command_says_what_is_wrong_with_the_connection_of_the_event_store(
    connections: Connections, sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    conn_id, words = set_bad(connections, sandbox, BAD_STORE, kind)
    extra = {"workspace_id": sandbox.workspace_id, "event_store_conn_id": conn_id, "webhook_secret": "s" * 20}
    connections.set("named", conn_type="toggl", host=sandbox.url, password=sandbox.token, extra=extra)
    assert words in refused(capsys, *COMMAND_LINES[name], TOGGL_OPTION[name], "named")


# -- operators, sensors, triggers, hooks and functions -----------------------------------------------------------------

CLASSES = {one.__name__: one for one in OPERATORS}


def parameters_of(cls: Any) -> set[str]:
    return {name for name in parameters(cls) if name.endswith("conn_id")}


PARAMETERS = [(name, parameter) for name, cls in CLASSES.items() for parameter in sorted(parameters_of(cls))]


def test_every_class_that_asks_toggl_takes_its_connection() -> None:
    without = [name for name, cls in CLASSES.items() if "toggl_conn_id" not in parameters_of(cls)]
    assert without == ["TogglIcebergFactsOperator", "TogglIcebergMaintenanceOperator"]
    kinds = {parameter for _, parameter in PARAMETERS}
    assert kinds == BY_PARAMETER.keys()


def task_that_uses(name: str, **more: Any) -> Callable[[], Any]:
    def use() -> Any:
        task = build(CLASSES[name], **more)
        return task.poke({}) if name.endswith("Sensor") else task.execute({})

    return use


def use_trigger(**given: Any) -> Callable[[], Any]:
    from airflow_provider_toggl.triggers.events import TogglEventTrigger

    async def first() -> Any:
        async for event in TogglEventTrigger(once=True, **given).run():
            return event
        return None

    return lambda: asyncio.run(asyncio.wait_for(first(), 20))


def use_days(conn_id: Any) -> Any:
    with compute_changed_days("me", warehouse_conn_id=conn_id):
        pass


FUNCTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "open_warehouse": ("warehouse_conn_id", lambda conn_id: open_warehouse(conn_id, schema="toggl")),
    "read_df": ("warehouse_conn_id", lambda conn_id: read_df("select 1", warehouse_conn_id=conn_id)),
    "find_changed_days": ("warehouse_conn_id", lambda conn_id: find_changed_days(warehouse_conn_id=conn_id)),
    "compute_changed_days": ("warehouse_conn_id", use_days),
    "open_event_store": ("toggl_conn_id", open_event_store),
    "open_event_store_by_its_own": (
        "event_store_conn_id",
        lambda conn_id: open_event_store(event_store_conn_id=conn_id),
    ),
    "open_webhooks": ("toggl_conn_id", open_webhooks),
    "trigger": ("toggl_conn_id", lambda conn_id: use_trigger(toggl_conn_id=conn_id)()),
    "trigger_with_a_store": ("event_store_conn_id", lambda conn_id: use_trigger(event_store_conn_id=conn_id)()),
}
BY_PARAMETER: dict[str, Table] = {
    "toggl_conn_id": BAD_TOGGL,
    "only_conn_id": {},
    "warehouse_conn_id": BAD_WAREHOUSE,
    "event_store_conn_id": BAD_STORE,
    # Of an object store, whose package decides what is wrong; see the tests of files.
    "storage_conn_id": {},
}


#: An empty name of an event store stands for the default store.
MUST_BE_NAMED = ("toggl_conn_id", "warehouse_conn_id")


def says(use: Callable[[], Any], words: str) -> None:
    with pytest.raises(TogglError) as caught:
        use()
    assert words in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameter", "kind"),
    [
        (name, parameter, kind)
        for name, parameter in PARAMETERS
        for kind in ANYWHERE
        if kind in BY_PARAMETER[parameter] or (kind == "blank" and parameter in MUST_BE_NAMED)
    ],
)
def test_a_task_says_what_is_wrong_with_its_connection(
    connections: Connections, sandbox: RunningSandbox, name: str, parameter: str, kind: str
) -> None:
    conn_id, words = set_bad(connections, sandbox, BY_PARAMETER[parameter], kind)
    says(task_that_uses(name, **{parameter: conn_id}), words)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (name, kind)
        for name, (parameter, _) in FUNCTIONS.items()
        for kind in (*BY_PARAMETER[parameter], *(["blank"] if parameter in MUST_BE_NAMED else []))
        if kind in ANYWHERE or name in ("read_df", "open_event_store_by_its_own", "open_webhooks")
    ],
)
def test_a_function_says_what_is_wrong_with_its_connection(
    connections: Connections, sandbox: RunningSandbox, name: str, kind: str
) -> None:
    parameter, use = FUNCTIONS[name]
    conn_id, words = set_bad(connections, sandbox, BY_PARAMETER[parameter], kind)
    says(lambda: use(conn_id), words)
