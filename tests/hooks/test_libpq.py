from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.libpq import build_dsn

pytestmark = pytest.mark.airflow

#: Parameters that the fields of a connection are for.
FIELDS = {"host", "port", "user", "password", "dbname"}


def build(extra: str = "{}", **fields: Any) -> dict[str, Any]:
    from airflow.providers.common.compat.sdk import Connection

    return conninfo_to_dict(build_dsn(Connection(conn_id="c", conn_type="postgres", extra=extra, **fields)))


def parameters() -> list[str]:
    return [option.keyword.decode() for option in pq.Conninfo.get_defaults()]


def test_a_connection_is_written_as_libpq_wants_it() -> None:
    fields = {"host": "db", "login": "me", "password": "it's secret", "schema": "warehouse", "port": 5433}
    assert build('{"sslmode": "require", "cursor": "dictcursor", "iam": false, "options": ""}', **fields) == {
        "host": "db",
        "user": "me",
        "password": "it's secret",
        "dbname": "warehouse",
        "port": "5433",
        "sslmode": "require",
        "client_encoding": "UTF8",
    }


@pytest.mark.parametrize("name", [name for name in parameters() if name != "client_encoding"])
def test_each_parameter_that_libpq_has_may_be_in_the_extra(name: str) -> None:
    assert build(f'{{"{name}": "7"}}')[name] == "7"


def test_the_extra_comes_before_the_fields_as_in_airflow_s_hook() -> None:
    assert build('{"dbname": "b", "user": "c"}', schema="a", login="a") == {
        "dbname": "b",
        "user": "c",
        "client_encoding": "UTF8",
    }


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile"])
def test_a_file_may_be_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert build(f'{{"{name}": "~/x.pem"}}')[name] == str(tmp_path / "x.pem")
    assert build('{"sslpassword": "~/x"}')["sslpassword"] == "~/x"


@pytest.mark.parametrize("name", ["ssl_mode", "aplication_name", "conn_timeout"])
def test_a_parameter_that_libpq_does_not_know_is_named(name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"Connection 'c' has '{name}' in its extra, which libpq does not know"
    ):
        build(f'{{"{name}": "7"}}')


@pytest.mark.parametrize("name", ["iam", "redshift", "redshift-serverless"])
def test_a_password_from_a_cloud_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' in its extra: this package cannot get passwords"):
        build(f'{{"{name}": true}}')


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("[::1]:5433", None, ("::1", "5433")),
        ("a,b", 5433, ("a,b", "5433,5433")),
        ("a:1,[::1]:2", None, ("a,::1", "1,2")),
        ("/run/postgresql", None, ("/run/postgresql", None)),
    ],
)
def test_one_or_more_servers_may_be_named(host: str, port: int | None, expected: tuple[str, str | None]) -> None:
    built = build(host=host, port=port)
    assert (built["host"], built.get("port")) == expected
