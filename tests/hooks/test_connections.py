"""What the fields of a connection mean, for each kind of connection: either it works, or the wrong field is named."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections, all_logs
from support.servers.mariadb import PASSWORD, MariadbServer

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.connections import (
    ConnectionNotFound,
    find_connection,
    get_callback_url,
    get_connection,
    get_toggl_connection,
    get_webhook_secret,
    split_host,
)
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow


# -- looking up --------------------------------------------------------------------------------------------------------


def test_a_missing_connection_raises_a_configuration_error_and_airflow_s_own() -> None:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException

    with pytest.raises(ConfigurationError, match=r"There is no connection 'nowhere' \(toggl_conn_id\)") as caught:
        get_toggl_connection("nowhere")
    assert isinstance(caught.value, AirflowNotFoundException)
    assert isinstance(caught.value, ConnectionNotFound)
    assert find_connection("nowhere", parameter="x") is None


@pytest.mark.parametrize(
    "value", ["{nope", '{"conn_type": "toggl", "port": "abc"}', "toggl://:secret-of-mine@host:abc/"]
)
def test_the_error_for_an_unreadable_connection_says_how_to_write_it(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", value)
    with pytest.raises(ConfigurationError, match=r"AIRFLOW_CONN_BROKEN must be a URI or a JSON object") as caught:
        get_toggl_connection("broken")
    assert "secret-of-mine" not in str(caught.value)


def test_fields_are_stripped(connections: Connections) -> None:
    fields = {"host": " db\n", "login": "\tme ", "schema": " d\r\n", "password": "secret of mine \r\n", "port": 0}
    connections.set("c", conn_type="postgres", **fields)
    connection = get_connection(" c ", parameter="x")
    assert (connection.host, connection.login, connection.schema, connection.port) == ("db", "me", "d", None)
    # A blank may be a part of a database's password, a line end is not.
    assert connection.password == "secret of mine "


# -- Toggl -------------------------------------------------------------------------------------------------------------


def toggl_fields(sandbox: RunningSandbox, **fields: Any) -> dict[str, Any]:
    extra = {"workspace_id": sandbox.workspace_id, "requests_per_second": 200}
    return {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token, "extra": extra, **fields}


def port_of(sandbox: RunningSandbox) -> int:
    return int(sandbox.url.rsplit(":", 1)[1])


#: All hosts are tested in tests/core/client/test_addresses.py.
WORKING_TOGGL: dict[str, dict[str, Any]] = {
    "blanks_around_the_token": {"password": " \t{token} \r\n"},
    "blanks_around_the_host": {"host": "  http://127.0.0.1:{port} \n"},
    "path_of_the_api": {"host": "http://127.0.0.1:{port}/api/v9"},
    "port_in_both": {"host": "http://127.0.0.1:{port}", "port": "{port}"},
    "scheme_in_the_schema": {"host": "127.0.0.1", "port": "{port}", "schema": "HTTP "},
    "type_in_capitals": {"conn_type": "Toggl"},
    "ids_as_texts": {"extra": {"workspace_id": " {workspace} \n", "requests_per_second": "200"}},
}


def filled(value: Any, sandbox: RunningSandbox) -> Any:
    if isinstance(value, dict):
        return {name: filled(one, sandbox) for name, one in value.items()}
    known = {"{token}": sandbox.token, "{port}": str(port_of(sandbox)), "{workspace}": str(sandbox.workspace_id)}
    for name, text in known.items():
        value = value.replace(name, text)
    return value


@pytest.mark.parametrize("case", WORKING_TOGGL)
def test_a_toggl_connection_may_be_written_in_several_ways(
    sandbox: RunningSandbox, connections: Connections, case: str
) -> None:
    connections.set("toggl_default", **toggl_fields(sandbox, **filled(WORKING_TOGGL[case], sandbox)))
    works, words = TogglHook().test_connection()
    assert works, words


def test_a_toggl_connection_as_airflow_writes_it_as_a_uri_works(
    sandbox: RunningSandbox, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.common.compat.sdk import Connection

    plain = {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token}
    uri = Connection(conn_id="c", extra='{"requests_per_second": "200"}', **plain).get_uri()
    for one in (uri, f"toggl://:{sandbox.token}@http%3A%2F%2F127.0.0.1:{port_of(sandbox)}/?requests_per_second=200"):
        monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", one)
        works, words = TogglHook().test_connection()
        assert works, words


BAD_TOGGL: dict[str, tuple[dict[str, Any], str]] = {
    "token_with_a_blank": ({"password": "abc def"}, "The password of connection 'toggl_default' contains a space"),
    "token_of_other_letters": ({"password": "tökén"}, "The password of connection 'toggl_default' contains a space"),
    "token_of_toggl_2": ({"password": "toggl_sk_abc"}, "API token of Toggl 2.0"),
    "token_in_the_login": ({"login": "{token}", "password": ""}, "no API token: put it into the password"),
    "host_without_scheme": ({"host": "127.0.0.1:{port}"}, "The connection's host is '127.0.0.1:"),
    "extra": ({"extra": "[1]"}, "The extra of connection 'toggl_default' is not a JSON object"),
    "callback": ({"extra": {"webhook_callback_url": "example.org"}}, "The callback must be a web address"),
    "event_store": ({"extra": {"event_store_conn_id": "nowhere"}}, "There is no connection 'nowhere'"),
    "nul": ({"login": "a\0b"}, "A field of connection 'toggl_default' contains a NUL character"),
    "flag": ({"extra": {"allow_plain_http": "perhaps"}}, "allow_plain_http is 'perhaps'; it must be true or false"),
}


@pytest.mark.parametrize("case", BAD_TOGGL)
def test_the_connection_test_names_the_wrong_field(
    sandbox: RunningSandbox, connections: Connections, case: str
) -> None:
    fields, words = BAD_TOGGL[case]
    given = {name: value if name == "extra" else filled(value, sandbox) for name, value in fields.items()}
    connections.set("toggl_default", **toggl_fields(sandbox, **given))
    works, said = TogglHook().test_connection()
    assert not works
    assert said.startswith(words) or words in said
    assert sandbox.token not in said
    assert sandbox.requests()["calls"] == []


def test_a_stripped_token_is_masked_in_logs(sandbox: RunningSandbox, connections: Connections) -> None:
    connections.set("toggl_default", **toggl_fields(sandbox, password=f"{sandbox.token}\n"))
    with all_logs() as lines:
        assert TogglHook().test_connection()[0]
    assert sandbox.token not in "\n".join(lines)


def test_a_webhook_secret_has_no_line_end(connections: Connections) -> None:
    connections.set("toggl_default", conn_type="toggl", extra={"webhook_secret": "s3cret\n"})
    assert get_webhook_secret("toggl_default") == "s3cret"


# -- files -------------------------------------------------------------------------------------------------------------

#: Forms of a file's path in a connection, which must all be the same file.
FILE_FORMS: dict[str, dict[str, str]] = {
    "path": {"host": "{folder}/w.{suffix}"},
    "home": {"host": "~/w.{suffix}"},
    "schema_of_a_uri": {"schema": "{folder}/w.{suffix}"},
    "home_in_the_path_of_a_uri": {"schema": "~/w.{suffix}"},
    "relative": {"host": "w.{suffix}"},
}
#: Faults of a path itself are tested in tests/core/test_arguments.py.
NO_FILES: dict[str, tuple[dict[str, str], str]] = {
    "memory": ({"host": ":memory:"}, "in memory is lost"),
    "memory_in_the_extra": ({"host": "{folder}/x", "extra": '{{"mode": "memory"}}'}, "a database in memory"),
    "nul": ({"host": "{folder}/a\0b"}, "NUL character"),
    "folder_that_is_not_there": ({"host": "{folder}/new/"}, "is the folder"),
    "url_of_sqlite": ({"host": "sqlite:///{folder}/x.db"}, "begins with 'sqlite:'"),
    "motherduck": ({"host": "md:mine?motherduck_token=very-secret"}, "begins with 'md:'|one to MotherDuck"),
    "folder": ({"host": "{folder}"}, "is the folder"),
    "nothing": ({}, "names no file"),
    "a_schema": ({"schema": "toggl"}, "names no file"),
}
FILE_ENGINES = ("duckdb", "sqlite", "event_store")


def set_file(connections: Connections, engine: str, fields: dict[str, str], folder: Path) -> None:
    suffix = "duckdb" if engine == "duckdb" else "sqlite"
    given = {name: value.format(folder=folder, suffix=suffix) for name, value in fields.items()}
    connections.set("files", conn_type="duckdb" if engine == "duckdb" else "sqlite", **given)


def open_file(engine: str) -> None:
    if engine == "event_store":
        open_event_store(event_store_conn_id="files").close()
    else:
        open_warehouse("files", schema="toggl").close()


@pytest.mark.parametrize("engine", FILE_ENGINES)
@pytest.mark.parametrize("form", FILE_FORMS)
def test_a_file_is_the_one_that_the_connection_names(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, form: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    set_file(connections, engine, FILE_FORMS[form], tmp_path)
    open_file(engine)
    assert (tmp_path / f"w.{'duckdb' if engine == 'duckdb' else 'sqlite'}").is_file()


@pytest.mark.parametrize("engine", FILE_ENGINES)
@pytest.mark.parametrize("case", NO_FILES)
def test_the_error_for_an_invalid_file_names_its_field(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine: str, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    fields, words = NO_FILES[case]
    set_file(connections, engine, fields, tmp_path)
    with pytest.raises(ConfigurationError, match=words) as caught:
        open_file(engine)
    assert "'files'" in str(caught.value)
    assert "very-secret" not in str(caught.value)
    assert set(tmp_path.iterdir()) - before <= {tmp_path / "state"}


@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_a_missing_folder_is_created(connections: Connections, tmp_path: Path, engine: str) -> None:
    set_file(connections, engine, {"host": "{folder}/new/deep/w.{suffix}"}, tmp_path)
    open_file(engine)
    assert len(list((tmp_path / "new" / "deep").glob("w.*"))) >= 1


def test_a_file_of_the_other_kind_is_refused(connections: Connections, tmp_path: Path) -> None:
    connections.set("warehouse", conn_type="sqlite", host=str(tmp_path / "warehouse.sqlite"))
    open_warehouse("warehouse", schema="toggl").close()
    with pytest.raises(ConfigurationError, match="has the tables of a warehouse"):
        open_event_store(event_store_conn_id="warehouse")
    connections.set("events", conn_type="sqlite", host=str(tmp_path / "events.sqlite"))
    open_event_store(event_store_conn_id="events").close()
    with pytest.raises(ConfigurationError, match="has the tables of an event store"):
        open_warehouse("events", schema="toggl")


def test_a_sqlite_file_may_have_special_characters_in_its_name(connections: Connections, tmp_path: Path) -> None:
    path = tmp_path / "a b%20 ä.sqlite"
    connections.set("files", conn_type="sqlite", host=str(path))
    open_warehouse("files", schema="toggl").close()
    assert path.is_file()
    with sqlite3.connect(path) as raw:
        assert raw.execute("select count(*) from clients").fetchone() == (0,)


# -- servers -----------------------------------------------------------------------------------------------------------

HOSTS: dict[str, tuple[dict[str, Any], tuple[str | None, int | None]]] = {
    "nothing": ({}, (None, None)),
    "name": ({"host": "db"}, ("db", None)),
    "port": ({"host": "db", "port": 5433}, ("db", 5433)),
    "port_in_the_host": ({"host": "db:5433"}, ("db", 5433)),
    "ipv6": ({"host": "::1"}, ("::1", None)),
    "brackets": ({"host": "[::1]"}, ("::1", None)),
    "brackets_and_port": ({"host": "[::1]:5433"}, ("::1", 5433)),
    "socket": ({"host": "/var/run/postgresql"}, ("/var/run/postgresql", None)),
    "blanks": ({"host": " db:5433\n"}, ("db", 5433)),
}
BAD_HOSTS: dict[str, tuple[dict[str, Any], str]] = {
    "url": ({"host": "postgresql://me:very-secret@db/x"}, "The host of connection 'c' is a URL"),
    "two_ports": ({"host": "db:1", "port": 2}, "Connection 'c' has two ports: 1 in its host and 2 in its port"),
    "no_number": ({"host": "db:port"}, "The host of connection 'c' ends in port 'port'"),
    "too_large": ({"host": "db", "port": 65536}, "The port of connection 'c' is 65536"),
    "too_large_in_the_host": ({"host": "[::1]:65536"}, "The host of connection 'c' ends in port '65536'"),
    "database": ({"host": "db/x"}, "The host of connection 'c' is 'db/x'"),
    "two_words": ({"host": "db one"}, "The host of connection 'c' is 'db one'"),
}


@pytest.mark.parametrize("case", HOSTS)
def test_a_host_is_read_with_its_port(connections: Connections, case: str) -> None:
    fields, expected = HOSTS[case]
    connections.set("c", conn_type="mysql", **fields)
    assert split_host(get_connection("c", parameter="x")) == expected


@pytest.mark.parametrize("case", BAD_HOSTS)
def test_an_invalid_host_is_refused(connections: Connections, case: str) -> None:
    fields, words = BAD_HOSTS[case]
    connections.set("c", conn_type="mysql", **fields)
    with pytest.raises(ConfigurationError) as caught:
        split_host(get_connection("c", parameter="x"))
    assert str(caught.value).startswith(words)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize("engine", ["postgres", "mysql", "event_store"])
def test_every_server_s_host_is_checked(connections: Connections, engine: str) -> None:
    connections.set("c", conn_type="postgres" if engine == "event_store" else engine, host="db/x")
    given = {"event_store_conn_id": "c"} if engine == "event_store" else {"conn_id": "c", "schema": "toggl"}
    with pytest.raises(ConfigurationError, match="The host of connection 'c' is 'db/x'"):
        (open_event_store if engine == "event_store" else open_warehouse)(**given)  # type: ignore[operator]


@pytest.mark.parametrize("value", [["require"], {"a": "very-secret"}, "very-\0secret"])
def test_a_parameter_of_libpq_must_be_text_or_a_number(connections: Connections, value: Any) -> None:
    connections.set("c", conn_type="postgres", host="db", extra={"sslmode": value})
    with pytest.raises(ConfigurationError, match="'sslmode' in the extra of connection 'c'") as caught:
        open_warehouse("c", schema="toggl")
    assert "very-" not in str(caught.value)


SETTING = "select current_setting('application_name') as app, current_setting('work_mem') as mem"


@pytest.mark.xdist_group("postgres-warehouses")
@pytest.mark.parametrize(
    "fields",
    [
        {"host": "127.0.0.1:{port}", "port": None},
        {"login": " postgres\n", "schema": "{schema} "},
        {"host": "127.0.0.1:1,127.0.0.1:{port}", "port": None},
    ],
)
def test_a_postgres_connection_may_be_written_in_several_ways(
    connections: Connections, postgres_fields: dict[str, Any], fields: dict[str, Any]
) -> None:
    given = {name: value and value.format(**postgres_fields) for name, value in fields.items()}
    connections.set("pg", **postgres_fields | given)
    assert read_df("select 1 as one", warehouse_conn_id="pg", df_type="arrow").to_pylist() == [{"one": 1}]
    open_event_store(event_store_conn_id="pg").close()


@pytest.mark.xdist_group("postgres-warehouses")
def test_every_parameter_of_libpq_in_the_extra_is_used(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, postgres_fields: dict[str, Any]
) -> None:
    extra = {
        "application_name": "toggl-etl",
        "options": "-c work_mem=7MB",
        "keepalives": True,
        "keepalives_interval": "7",
        "connect_timeout": 5,
        "client_encoding": "latin1",
        "sslmode": "",
        "cursor": "dictcursor",
    }
    connections.set("pg", **postgres_fields, extra=extra)
    found = read_df(f"{SETTING}, 'ä☃' as text", warehouse_conn_id="pg", df_type="arrow").to_pylist()
    assert found == [{"app": "toggl-etl", "mem": "7MB", "text": "ä☃"}]
    # A service of the user's own file, and nothing in the fields.
    service = tmp_path / "services.conf"
    service.write_text(f"[mine]\nhost=127.0.0.1\nport={postgres_fields['port']}\nuser=postgres\ndbname=postgres\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    connections.set("pg", conn_type="postgres", extra={"service": "mine", "application_name": "by-service"})
    found = read_df(SETTING, warehouse_conn_id="pg", df_type="arrow").to_pylist()
    assert found[0]["app"] == "by-service"


@pytest.mark.xdist_group("mariadb")
@pytest.mark.parametrize(
    "fields", [{"host": "127.0.0.1:{port}", "port": None}, {"login": "toggl\n", "password": "{password}\n"}]
)
def test_a_mysql_connection_may_be_written_in_several_ways(
    connections: Connections, mariadb: MariadbServer, fields: dict[str, Any]
) -> None:
    given = {
        name: value.format(port=mariadb.port, password=PASSWORD) if isinstance(value, str) else value
        for name, value in fields.items()
    }
    plain = {"host": "127.0.0.1", "port": mariadb.port, "login": "toggl", "password": PASSWORD}
    extra = {"client": "mysql-connector-python"}
    connections.set("my", conn_type="mysql", **{**plain, **given}, extra=extra)
    assert read_df("select 1 as one", warehouse_conn_id="my", df_type="arrow").to_pylist() == [{"one": 1}]


@pytest.mark.parametrize("extra", [{}, {"webhook_secret": ""}, {"webhook_secret": None}], ids=str)
def test_the_error_for_a_missing_secret_says_where_to_put_it(connections: Connections, extra: dict[str, Any]) -> None:
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra=extra)
    with pytest.raises(ConfigurationError, match=r"'toggl_default'.*webhook_secret of its extra"):
        get_webhook_secret("toggl_default")


def test_the_callback_is_the_argument_or_the_connection_s(connections: Connections) -> None:
    extra = {"webhook_callback_url": "https://airflow.example.org", "allow_plain_http": True}
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra=extra)
    assert get_callback_url("toggl_default") == "https://airflow.example.org/toggl/webhooks/toggl_default"
    assert get_callback_url("toggl_default", " http://receiver:8090/x ") == "http://receiver:8090/x"
    connections.set("toggl_default", conn_type="toggl", password="t" * 32)
    with pytest.raises(ConfigurationError, match="webhook_callback_url in the extra of connection 'toggl_default'"):
        get_callback_url("toggl_default")
