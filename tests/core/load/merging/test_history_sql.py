from __future__ import annotations

import pytest
from support.warehouses import DIALECTS

from airflow_provider_toggl.core.load.engines.dialect import Dialect
from airflow_provider_toggl.core.load.merging import history_sql
from airflow_provider_toggl.core.load.merging.rule import INCOMING, MERGED
from airflow_provider_toggl.core.load.tables.schemas import VERSIONS


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_merge_names_each_temporary_table_once_a_statement(dialect: Dialect) -> None:
    for statement in history_sql.merge_versions(dialect):
        head, *_ = statement.split(" on duplicate ")
        assert max(head.count(f" {name} as ") for name in (INCOMING, MERGED)) <= 1


def test_every_column_of_a_version_is_content_or_has_its_rule() -> None:
    ruled = {*history_sql.EARLIEST, *history_sql.LATEST}
    assert ruled < {column.name for column in VERSIONS.columns}
    assert {"actor_id", "told_at", "told_as", "first_observed_at", "last_observed_at"} <= ruled


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_view_looks_at_each_step_once(dialect: Dialect) -> None:
    view = history_sql.create_changes(dialect)
    assert [view.count(f"from {step} ") for step in ("points", "ordered", "described")] == [1, 1, 1]
