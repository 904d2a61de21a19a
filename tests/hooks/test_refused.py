from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from support.connections import Connections
from support.repository import ROOT

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.refused import REFUSED_TYPES, check_type
from airflow_provider_toggl.hooks.warehouse import open_warehouse

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("type_", REFUSED_TYPES)
def test_a_type_is_refused_with_what_it_lacks_and_what_to_use(type_: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_type(Connection(conn_id="c", conn_type=type_))
    said = str(caught.value)
    assert said.startswith(
        f"Connection 'c' is of type '{type_}', which cannot be loaded into: {REFUSED_TYPES[type_]}. "
    )
    assert "TogglToFilesOperator" in said
    assert "'iceberg'" in said
    assert "docs/warehouses.md" in said


@pytest.mark.parametrize(
    "type_", ["duckdb", "postgres", "sqlite", "mysql", "mariadb", "iceberg", "snowflake", "gcpbigquery", "jdbc", "odbc"]
)
def test_other_types_are_not(type_: str) -> None:
    check_type(Connection(conn_id="c", conn_type=type_))


def test_the_documentation_lists_the_types_that_are_refused() -> None:
    section = (ROOT / "docs" / "warehouses.md").read_text().split("## Engines that are refused")[1].split("\n## ")[0]
    rows = [row.split("|") for row in section.splitlines() if row.startswith("|")]
    assert sorted(type_ for row in rows for type_ in re.findall(r"`(\w+)`", row[2])) == sorted(REFUSED_TYPES)


def test_nothing_is_tried_on_an_engine_that_is_refused(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get_hook(self: Connection, **_: Any) -> Any:
        pytest.fail("a hook was made")

    monkeypatch.setattr(Connection, "get_hook", get_hook)
    connections.set("c", conn_type="redshift", host="very-far", login="me", password="very-secret")
    with pytest.raises(ConfigurationError, match="of type 'redshift', which cannot be loaded into") as caught:
        open_warehouse("c", schema="toggl")
    assert "very-" not in str(caught.value)
