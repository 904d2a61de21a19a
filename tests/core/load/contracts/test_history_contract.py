"""The history of time entries, on every engine."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from support.entry_histories import absent, changes, contradictions, draw_history, event, event_with, kept, pulled
from support.toggl_rows import WORKSPACE, at, decode, entries, v9_entry
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.merging import history
from airflow_provider_toggl.core.load.warehouse import Warehouse


@pytest.fixture
def keeping(target: Warehouse) -> Warehouse:
    target.keep_history(True)
    return target


def count_versions(target: Warehouse) -> int:
    return int(rows(target, 'select count(*) from "time_entry_versions"')[0][0])


# -- on and off -------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_until_it_is_asked_for(target: Warehouse) -> None:
    target.load([pulled(), event("updated", changed=5)])
    assert count_versions(target) == 0
    target.keep_history(False)
    assert count_versions(target) == 0


def test_it_stays_on_for_every_load_until_it_is_switched_off(place: WarehouseLocation, keeping: Warehouse) -> None:
    keeping.load([pulled()])
    keeping.close()
    with place.open() as other:
        other.load([pulled(changed=1)])
        assert count_versions(other) == 2
        other.keep_history(False)
        other.load([pulled(changed=2)])
        assert count_versions(other) == 2


def test_it_begins_with_what_is_there(target: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "CHUNK", 2)
    target.load([entries(1, 2, 3, tag_ids=[5, 3]), event_with("deleted", {"id": 2}, seconds=4), absent(3, seconds=5)])
    target.keep_history(True)
    assert count_versions(target) == 5
    target.load([pulled(changed=9, tag_ids=[3])])
    assert changes(target)[1:] == [("updated", "tag_ids", "[3, 5]", "[3]", 9.0, None)]
    assert [row[0] for row in changes(target, 2)] == ["found", "deleted"]
    assert [row[0] for row in changes(target, 3)] == ["found", "absent"]


def test_beginning_again_adds_what_changed_meanwhile(keeping: Warehouse) -> None:
    keeping.load([pulled()])
    keeping.keep_history(False)
    keeping.load([pulled(changed=2, description="meanwhile")])
    for _ in range(2):
        keeping.keep_history(True)
    assert changes(keeping)[1:] == [("updated", "description", "Work", "meanwhile", 2.0, None)]


def test_a_failed_load_keeps_no_versions(keeping: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_toggl.core.load.merging.steps.store_rejected", fail)
        with pytest.raises(RuntimeError, match="stopped"):
            keeping.load([pulled()])
    assert count_versions(keeping) == 0


# -- the view of changes ----------------------------------------------------------------------------------------------


def test_who_changed_what_and_when(place: WarehouseLocation, keeping: Warehouse) -> None:
    keeping.load([event("created", by=10)])
    changed = {"description": "x", "project_id": None, "billable": True, "tag_ids": [8, 2], "task_id": 4, "user_id": 12}
    keeping.load([event("updated", changed=60.5, by=11, start="2025-05-02T08:00:00Z", duration=1, **changed)])
    # An engine of which nothing is known writes instants in its own way.
    form = "2025-05-0{0} 08:00:00" if place.engine == "ansi" else "2025-05-0{0}T08:00:00Z"
    before, after = form.format(1), form.format(2)
    assert changes(keeping) == [
        ("created", None, None, None, 0.0, 10),
        *(
            ("updated", *change, 60.0, 11)
            for change in (
                ("billable", "false", "true"),
                ("description", "Work", "x"),
                ("duration", "2700", "1"),
                ("project_id", "20", None),
                ("start", before, after),
                ("tag_ids", "[]", "[2, 8]"),
                ("task_id", None, "4"),
                ("user_id", "10", "12"),
            )
        ),
    ]


def test_names_are_joined_in(keeping: Warehouse) -> None:
    users = decode("users", {"id": 10, "fullname": "Ann"}, {"id": 11, "fullname": "Bob"})
    projects = decode("projects", {"id": 20, "name": "P", "client_id": 5, "at": at(0).isoformat()})
    clients = decode("clients", {"id": 5, "name": "C", "at": at(0).isoformat()})
    keeping.load(
        [users, projects, clients, event("created", by=10), event("updated", changed=3, by=11, description="x")]
    )
    names = '"changed_by_name", "user_name", "project_name", "client_name", "description"'
    found = rows(keeping, f'select {names} from "time_entry_history" where "field" is not null')
    assert found == [("Bob", "Ann", "P", "C", "x")]


def test_a_change_that_only_a_pull_saw_has_nobody(keeping: Warehouse) -> None:
    keeping.load([event("created"), pulled(changed=7, seconds=300, description="x")])
    assert changes(keeping)[1:] == [("updated", "description", "Work", "x", 7.0, None)]
    keeping.load([event("updated", changed=7.25, by=11, description="x")])
    assert changes(keeping)[1:] == [("updated", "description", "Work", "x", 7.0, 11)]


def test_a_late_event_is_inserted_between_earlier_changes(keeping: Warehouse) -> None:
    keeping.load([event("created"), event("updated", changed=9, by=12, description="c")])
    assert changes(keeping)[1:] == [("updated", "description", "Work", "c", 9.0, 12)]
    keeping.load([event("updated", changed=5, by=11, description="b")])
    assert changes(keeping)[1:] == [
        ("updated", "description", "Work", "b", 5.0, 11),
        ("updated", "description", "b", "c", 9.0, 12),
    ]


def test_an_entry_that_was_not_seen_from_its_creation_on_is_found(keeping: Warehouse) -> None:
    keeping.load([event("updated", changed=9, by=12)])
    assert changes(keeping) == [("found", None, None, None, 9.0, 12)]
    keeping.load([event("created", by=11)])
    assert changes(keeping) == [("created", None, None, None, 0.0, 11)]


def test_a_tag_that_was_deleted_in_silence_is_taken_away_when_that_was_seen(keeping: Warehouse) -> None:
    keeping.load([event("created", seconds=0.4, tag_ids=[1, 2]), pulled(seconds=50, tag_ids=[2, 1])])
    keeping.load([pulled(seconds=90, tag_ids=[2])])
    silent = ("updated", "tag_ids", "[1, 2]", "[2]")
    assert changes(keeping)[1:] == [(*silent, 90.0, None)]
    keeping.load([event("updated", seconds=70.5, by=11, tag_ids=[2])])
    assert changes(keeping)[1:] == [(*silent, 70.5, 11)]


def test_a_report_that_lags_more_than_expected_does_not_reverse_a_change(
    keeping: Warehouse,
) -> None:
    keeping.load([event("created", seconds=0.4, tag_ids=[1]), pulled(seconds=-200, tag_ids=[])])
    keeping.load([pulled(seconds=100, tag_ids=[])])
    assert changes(keeping)[1:] == [("updated", "tag_ids", "[1]", "[]", 0.4, None)]


def test_deleted_and_restored_by_whom(keeping: Warehouse) -> None:
    deleted = event("deleted", changed=4.5, by=11, server_deleted_at=at(4).isoformat())
    keeping.load([event("created"), deleted, event("updated", changed=8, by=12)])
    assert [(row[0], row[4], row[5]) for row in changes(keeping)] == [
        ("created", 0.0, 10),
        ("deleted", 4.5, 11),
        ("restored", 8.0, 12),
    ]


def test_a_deletion_observed_several_times_is_one(keeping: Warehouse) -> None:
    gone = v9_entry(at=at(4).isoformat(), server_deleted_at=at(4).isoformat())
    seen = [pulled(), absent(seconds=90), decode("time_entries", gone, seconds=70), absent(seconds=400)]
    keeping.load(seen)
    assert [(row[0], row[4], row[5]) for row in changes(keeping)] == [("found", 0.0, None), ("deleted", 4.0, None)]
    keeping.load([event_with("deleted", {"id": 1}, seconds=5.1, by=11)])
    assert [(row[0], row[4], row[5]) for row in changes(keeping)][1:] == [("deleted", 4.0, 11)]


def test_an_entry_that_is_seen_again_as_it_was_is_restored_by_nobody_known(keeping: Warehouse) -> None:
    keeping.load([pulled(), absent(seconds=50)])
    assert [row[0] for row in changes(keeping)] == ["found", "absent"]
    keeping.load([pulled(seconds=60)])
    assert [(row[0], row[4], row[5]) for row in changes(keeping)] == [
        ("found", 0.0, None),
        ("absent", 50.0, None),
        ("restored", None, None),
    ]


def test_a_deletion_does_not_name_who_deleted_as_who_changed(keeping: Warehouse) -> None:
    keeping.load([event("created"), event("deleted", changed=4, by=11, description="last words")])
    assert changes(keeping)[1:] == [
        ("updated", "description", "Work", "last words", 4.0, None),
        ("deleted", None, None, None, 4.0, 11),
    ]


def test_money_is_not_part_of_history(keeping: Warehouse) -> None:
    keeping.load([pulled(billable_amount_in_cents=100), pulled(seconds=9, billable_amount_in_cents=200)])
    assert count_versions(keeping) == 1


def test_texts_that_differ_in_case_or_blanks_alone_are_a_change_and_none_and_empty_are_not(keeping: Warehouse) -> None:
    keeping.load([pulled(changed=n, description=text) for n, text in enumerate(("a", "A", "A ", "", None))])
    assert [row[2:4] for row in changes(keeping)[1:]] == [("a", "A"), ("A", "A "), ("A ", None)]


# -- the law ----------------------------------------------------------------------------------------------------------


def in_other_ways(chance: random.Random, seen: list[RecordBatch]) -> list[list[RecordBatch]]:
    """Return observations in another order, some of them again, in groups of other sizes."""
    order = [*seen, *chance.choices(seen, k=len(seen) // 3)]
    chance.shuffle(order)
    cuts = sorted({0, len(order), *chance.choices(range(len(order)), k=8)})
    return [order[begin:end] for begin, end in pairwise(cuts)]


def test_any_order_number_and_grouping_give_the_same_history_on_each_engine(keeping: Warehouse, tmp_path: Path) -> None:
    chance = random.Random(1)
    seen = draw_history(chance, range(1, 60), 360)
    with build_duckdb_warehouse(tmp_path / "as_it_came.duckdb") as other:
        other.keep_history(True)
        other.load(seen)
        wanted = kept(other)
    for group in in_other_ways(chance, seen):
        keeping.load(group)
    assert contradictions(keeping) == []
    assert kept(keeping) == wanted
    assert len(wanted[1]) > 200


def test_workspaces_are_those_of_the_entries(keeping: Warehouse) -> None:
    keeping.load([pulled(), event("deleted", 2, changed=4)])
    assert {row[0] for row in rows(keeping, 'select "workspace_id" from "time_entry_changes"')} == {WORKSPACE}
