from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.hooks.libpq import build_dsn

pytestmark = pytest.mark.airflow


def test_a_connection_is_told_to_libpq_with_what_it_takes_of_the_extra() -> None:
    from airflow.providers.common.compat.sdk import Connection

    connection = Connection(
        conn_id="c",
        conn_type="postgres",
        host="db",
        login="me",
        password="it's secret",
        schema="warehouse",
        port=5433,
        extra='{"sslmode": "require", "cursor": "dictcursor", "client_encoding": "latin1"}',
    )
    assert conninfo_to_dict(build_dsn(connection)) == {
        "host": "db",
        "user": "me",
        "password": "it's secret",
        "dbname": "warehouse",
        "port": "5433",
        "sslmode": "require",
    }
