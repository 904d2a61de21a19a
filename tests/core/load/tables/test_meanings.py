from __future__ import annotations

import pytest

from airflow_provider_toggl.core.load.tables.meanings import COMMON, OWN, REFERENCES, find_meaning
from airflow_provider_toggl.core.load.tables.schemas import TABLES, TIMES, VERSIONS, TableSchema


@pytest.mark.parametrize("table", [*TABLES.values(), VERSIONS], ids=lambda table: table.name)
def test_every_column_of_a_stream_has_a_meaning_that_is_a_sentence(table: TableSchema) -> None:
    meanings = {column.name: find_meaning(table.name, column.name) for column in table.columns}
    assert [name for name, meaning in meanings.items() if not meaning.endswith(".")] == []


def test_a_table_can_have_a_meaning_of_its_own_for_a_common_column() -> None:
    assert find_meaning("users", "id") != find_meaning("projects", "id") == COMMON["id"]
    assert find_meaning("projects", "nothing") == ""


def test_the_five_times_mean_the_same_in_every_table_of_a_stream() -> None:
    assert [f"{table}.{time.name}" for table in TABLES for time in TIMES if time.name in OWN.get(table, {})] == []


def test_every_reference_is_a_column_of_numbers() -> None:
    types = {(c.name, c.type) for table in TABLES.values() for c in table.columns if c.name in REFERENCES}
    assert {type_ for _, type_ in types} <= {"bigint", "bigint_list"}
