"""The Iceberg tables."""

from __future__ import annotations

import pytest

pytest.importorskip("pyiceberg")

from airflow_provider_toggl.core.load.engines.iceberg.schemas import (
    ALL_TABLES,
    FACTS_TABLE,
    arrow_schema,
    build_partitions,
    build_schema,
)


@pytest.mark.parametrize("table", [*ALL_TABLES.values(), FACTS_TABLE], ids=lambda table: table.name)
def test_every_column_has_a_type_in_iceberg_and_in_arrow(table) -> None:
    schema = build_schema(table)
    names = [column.name for column in table.columns]
    assert [field.name for field in schema.fields] == names == arrow_schema(table.columns).names


def test_amounts_have_two_decimals_in_iceberg_and_in_arrow() -> None:
    amounts = [column.name for column in FACTS_TABLE.columns if column.type == "amount"]
    assert {str(build_schema(FACTS_TABLE).find_type(name)) for name in amounts} == {"decimal(18, 2)"}
    assert {str(arrow_schema(FACTS_TABLE.columns).field(name).type) for name in amounts} == {"decimal128(18, 2)"}


def test_entries_are_partitioned_by_the_month_of_their_start() -> None:
    table = ALL_TABLES["time_entries"]
    (field,) = build_partitions(table, build_schema(table)).fields
    assert (field.name, str(field.transform)) == ("start_month", "month")


def test_only_tables_of_entries_and_facts_are_partitioned() -> None:
    partitioned = {t.name for t in (*ALL_TABLES.values(), FACTS_TABLE) if build_partitions(t, build_schema(t)).fields}
    assert partitioned == {"time_entries", "time_entry_facts"}
