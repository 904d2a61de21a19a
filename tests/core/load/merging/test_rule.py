from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.entry_histories import EPOCH, EntryObservation, entry_observations, merge_by_rule
from support.toggl_rows import WORKSPACE, at, tags

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB, build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.duckdb.file import run
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES, Column, TableSchema
from airflow_provider_toggl.core.load.values import Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse

ENTRIES = TABLES["time_entries"]
ORDERED = "select * replace ({}) from time_entries order by id"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path_factory.mktemp("merge") / "shared.duckdb", hold_seconds=3600) as target:
        yield target


def load_afresh(target: Warehouse, groups: Iterable[list[RecordBatch]]) -> list[dict[str, Any]]:
    connection = target._engine.connection if target._engine.is_open else prepared(target)
    run(connection, "delete from time_entries")
    for group in groups:
        target.load(group)
    return stored(target)


def prepared(target: Warehouse) -> Any:
    target.prepare()
    return target._engine.connection


def stored(target: Warehouse) -> list[dict[str, Any]]:
    instants = [column.name for column in ENTRIES.columns if column.type == "timestamp"]
    names = [column.name for column in ENTRIES.columns]
    replaced = ", ".join(f'epoch_us("{name}") as "{name}"' for name in instants)
    rows = run(target._engine.connection, ORDERED.format(replaced))
    return [dict(zip(names, row, strict=True)) for row in rows]


def in_microseconds(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            name: round((value - EPOCH).total_seconds() * 1_000_000) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]


@settings(max_examples=60)
@given(data=st.data(), history=st.lists(entry_observations(), min_size=1, max_size=8))
def test_any_order_grouping_and_repetition_of_observations_gives_what_the_rule_says(
    shared: Warehouse, data: st.DataObject, history: list[EntryObservation]
) -> None:
    batches = [seen.batch() for seen in history]
    repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=3), label="repeated")
    order = data.draw(st.permutations(repeated), label="order")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order))), label="cuts") | {len(order)})
    groups = [order[begin:end] for begin, end in zip([0, *cuts], cuts, strict=False)]
    assert load_afresh(shared, groups) == in_microseconds(merge_by_rule(batches))


@settings(max_examples=30)
@given(history=st.lists(entry_observations(), min_size=1, max_size=6))
def test_loading_the_same_again_changes_no_row(shared: Warehouse, history: list[EntryObservation]) -> None:
    batches = [seen.batch() for seen in history]
    before = load_afresh(shared, [batches])
    again = shared.load(batches)
    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(batches))
    assert stored(shared) == before


@settings(max_examples=40)
@given(data=st.data())
def test_late_news_and_complete_lists_in_any_order_leave_the_same_rows_alive(
    shared: Warehouse, data: st.DataObject
) -> None:
    sightings_ = st.tuples(st.integers(1, 3), st.integers(0, 5)).map(lambda pair: tags(pair[0], seconds=pair[1]))
    # Half seconds: of two things in one and the same second nobody can say which was first.
    lists = st.integers(0, 5).map(lambda second: Sweep(WORKSPACE, at(second + 0.5)))
    steps = data.draw(st.lists(sightings_ | lists, min_size=1, max_size=6), label="steps")
    other = data.draw(st.permutations(steps), label="another order")
    assert live_tags_after(shared, steps) == live_tags_after(shared, other)


def live_tags_after(target: Warehouse, steps: list[RecordBatch | Sweep]) -> list[tuple[Any, ...]]:
    connection = prepared(target)
    for table in ("tags", "complete_lists"):
        run(connection, f"delete from {table}")
    for step in steps:
        if isinstance(step, Sweep):
            target.load([tags()], None, step)
        else:
            target.load([step])
    return run(connection, f"select id, name from tags where {rule.is_live()} order by id")


def test_an_older_page_that_comes_late_takes_nothing_back(target: Warehouse) -> None:
    new, old = EntryObservation(1, 2, 5, "new", (), None).batch(), EntryObservation(1, 1, 3, "old", (), None).batch()
    assert target.load([new]).inserted == 1
    assert target.load([old]).unchanged == 1


def test_a_silent_change_wins_by_the_time_of_its_observation(shared: Warehouse) -> None:
    first, later = (
        EntryObservation(1, 1, 3, "a", (1, 2), None).batch(),
        EntryObservation(1, 1, 4, "a", (1,), None).batch(),
    )
    assert load_afresh(shared, [[later], [first]])[0]["tag_ids"] == [1]


def test_a_restored_entry_comes_back_by_being_seen(shared: Warehouse) -> None:
    deleted, restored = EntryObservation(1, 1, 3, "a", (), 3).batch(), EntryObservation(1, 2, 4, "a", (), None).batch()
    load_afresh(shared, [[restored], [deleted]])
    assert run(prepared(shared), f"select id from time_entries where {rule.is_live()}") == [(1,)]


def test_two_contents_never_have_the_same_text_under_the_digest(shared: Warehouse) -> None:
    table = TableSchema("t", (Column("id", "bigint"), Column("a", "text"), Column("b", "text"), *ENTRIES.columns[-5:]))
    rows = [("x", "yz"), ("xy", "z"), ("", None), (None, ""), ("-", None), ("1:x", ""), ("1", ":x")]
    values = ", ".join("(1, " + ", ".join("null" if v is None else f"'{v}'" for v in row) + ")" for row in rows)
    sql = f"select count(distinct {rule.digest(table, DUCKDB)}) from (values {values}) as v(id, a, b)"
    assert run(prepared(shared), sql) == [(len(rows),)]
