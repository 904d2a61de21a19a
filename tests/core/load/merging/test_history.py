from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.entry_histories import contradictions, draw_history, event, kept, pulled
from support.warehouses import rows

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path_factory.mktemp("history") / "shared.duckdb", hold_seconds=3600) as target:
        target.keep_history(True)
        yield target


def after(target: Warehouse, groups: list[list[RecordBatch]]) -> object:
    for table in ("time_entries", "time_entry_versions"):
        target._engine.run(f"delete from {table}")
    for group in groups:
        target.load(group)
    assert contradictions(target) == []
    return kept(target), rows(target, "select columns(*)::text from time_entries order by id")


@settings(max_examples=8)
@given(data=st.data(), seed=st.integers(0, 1_000_000), size=st.integers(1, 8))
def test_events_and_pages_in_any_order_and_number_give_the_same_rows_and_history(
    shared: Warehouse, data: st.DataObject, seed: int, size: int
) -> None:
    seen = draw_history(random.Random(seed), (1, 2), size)
    repeated = seen + data.draw(st.lists(st.sampled_from(seen), max_size=3), label="repeated")
    order = data.draw(st.permutations(repeated), label="order")
    cut = data.draw(st.integers(0, len(order)), label="cut")
    assert after(shared, [order[:cut], order[cut:]]) == after(shared, [[batch] for batch in seen])


def test_a_version_that_is_only_seen_again_adds_none(target: Warehouse) -> None:
    target.keep_history(True)
    for seconds in range(3):
        target.load([pulled(seconds=seconds), event("updated", 2, seconds=seconds)])
    found = rows(target, "select second(first_observed_at), second(last_observed_at) from time_entry_versions")
    assert found == [(0, 2), (0, 2)]


def test_keeping_history_leaves_no_temporary_tables_behind(shared: Warehouse) -> None:
    shared.load([pulled()])
    shared.load([pulled(seconds=9), pulled(changed=3)])
    assert shared._engine.run("select table_name from duckdb_tables() where temporary") == []
