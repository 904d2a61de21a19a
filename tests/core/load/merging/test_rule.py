from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.entry_histories import EntryObservation, entry_observations, merge_by_rule
from support.toggl_rows import WORKSPACE, at, tags
from support.warehouses import rows

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB, build_duckdb_warehouse
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES, Column, TableSchema
from airflow_provider_toggl.core.load.values import Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse

ENTRIES = TABLES["time_entries"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path_factory.mktemp("merge") / "shared.duckdb", hold_seconds=3600) as target:
        yield target


def load_afresh(target: Warehouse, groups: Iterable[list[RecordBatch]]) -> list[dict[str, Any]]:
    with target.transaction() as session:
        session.run("delete from time_entries")
    for group in groups:
        target.load(group)
    return stored(target)


def stored(target: Warehouse) -> list[dict[str, Any]]:
    return list(target.query("select * from time_entries order by id").to_pylist())


@settings(max_examples=10)
@given(data=st.data(), history=st.lists(entry_observations(), min_size=1, max_size=8))
def test_any_order_grouping_and_repetition_of_observations_gives_what_the_rule_says(
    shared: Warehouse, data: st.DataObject, history: list[EntryObservation]
) -> None:
    batches = [seen.batch() for seen in history]
    repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=3), label="repeated")
    order = data.draw(st.permutations(repeated), label="order")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order))), label="cuts") | {len(order)})
    groups = [order[begin:end] for begin, end in zip([0, *cuts], cuts, strict=False)]
    assert load_afresh(shared, groups) == merge_by_rule(batches)


@settings(max_examples=8)
@given(history=st.lists(entry_observations(), min_size=1, max_size=6))
def test_loading_the_same_again_changes_no_row(shared: Warehouse, history: list[EntryObservation]) -> None:
    batches = [seen.batch() for seen in history]
    before = load_afresh(shared, [batches])
    again = shared.load(batches)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(batches))
    assert stored(shared) == before


@settings(max_examples=10)
@given(data=st.data())
def test_late_news_and_complete_lists_in_any_order_leave_the_same_rows_alive(
    shared: Warehouse, data: st.DataObject
) -> None:
    sightings = st.tuples(st.integers(1, 3), st.integers(0, 5)).map(lambda pair: tags(pair[0], seconds=pair[1]))
    # Half seconds: of two things in one and the same second nobody can say which was first.
    lists = st.integers(0, 5).map(lambda second: Sweep(WORKSPACE, at(second + 0.5)))
    steps = data.draw(st.lists(sightings | lists, min_size=1, max_size=6), label="steps")
    other = data.draw(st.permutations(steps), label="another order")
    assert live_tags_after(shared, steps) == live_tags_after(shared, other)


def live_tags_after(target: Warehouse, steps: list[RecordBatch | Sweep]) -> list[tuple[Any, ...]]:
    with target.transaction() as session:
        for table in ("tags", "complete_lists"):
            session.run(f"delete from {table}")
    for step in steps:
        if isinstance(step, Sweep):
            target.load([tags()], None, step)
        else:
            target.load([step])
    return rows(target, f"select id, name from tags where {rule.is_live()} order by id")


def test_a_silent_change_wins_by_the_time_of_its_observation(shared: Warehouse) -> None:
    first, later = (
        EntryObservation(1, 1, 3, "a", (1, 2), None).batch(),
        EntryObservation(1, 1, 4, "a", (1,), None).batch(),
    )
    assert load_afresh(shared, [[later], [first]])[0]["tag_ids"] == [1]


def test_two_contents_never_have_the_same_text_under_the_digest(shared: Warehouse) -> None:
    table = TableSchema("t", (Column("id", "bigint"), Column("a", "text"), Column("b", "text"), *ENTRIES.columns[-5:]))
    contents = [("x", "yz"), ("xy", "z"), ("", None), (None, ""), ("-", None), ("1:x", ""), ("1", ":x")]
    values = ", ".join("(1, " + ", ".join("null" if v is None else f"'{v}'" for v in row) + ")" for row in contents)
    sql = f"select count(distinct {rule.digest(table, DUCKDB)}) from (values {values}) as v(id, a, b)"
    assert rows(shared, sql) == [(len(contents),)]
