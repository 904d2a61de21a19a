"""What every warehouse does, whatever its engine."""

from __future__ import annotations

import json
import random
import subprocess
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from support.fakes import FakeClock
from support.toggl_rows import NOON, WORKSPACE, at, decode, entries, report_row, tags, v9_entry
from support.warehouses import WarehouseLocation, loading, rows

from airflow_provider_toggl.core.errors import AbsenceRefused, ConfigurationError, SchemaTooNew
from airflow_provider_toggl.core.load.merging import rule, steps
from airflow_provider_toggl.core.load.merging.changed_days import find_days
from airflow_provider_toggl.core.load.tables import migrations
from airflow_provider_toggl.core.load.tables.migrations import MIGRATIONS
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.tables.state import STATEMENTS
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse


def progress(stream: str = "time_entries", **fields: object) -> Progress:
    values = {"scope": "7", "watermark": NOON, "cursor": "{}", "requests_spent": 3, "ran_at": at(60), **fields}
    return Progress(stream, **values)  # type: ignore[arg-type]


def count(target: Warehouse, stream: str) -> int:
    ((number,),) = rows(target, f'select count(*) from "{stream}"')
    return int(number)


def live(target: Warehouse, stream: str = "tags") -> list[int]:
    return [id_ for (id_,) in rows(target, f'select "id" from "{stream}" where {rule.is_live()} order by "id"')]


def listed(value: Any) -> Any:
    """Return a list as it is, or out of the JSON text of an engine that has none."""
    return json.loads(value) if isinstance(value, str) else value


# -- tables and versions -----------------------------------------------------------------------------------------------


def test_preparing_makes_every_table_and_view_and_repeating_it_changes_nothing(unprepared: WarehouseLocation) -> None:
    others = ("sync_state", "rejected_records", "complete_lists", "changed_days")
    views = ("live_time_entries", "time_entry_facts")
    history = ("time_entry_versions", "time_entry_changes", "time_entry_history")
    with unprepared.open() as target:
        # To look for the version creates nothing.
        assert target.find_version() == target.find_version() == 0
        target.prepare()
        assert target.counts() == dict.fromkeys(TABLES, 0)
        target.prepare()
        for name in (*TABLES, *others, *views, *history):
            assert rows(target, f'select * from "{name}"') == []
        assert rows(target, 'select max("version") from "schema_version"') == [(len(MIGRATIONS),)]


def test_another_reader_finds_the_version_and_the_last_runs(place: WarehouseLocation, target: Warehouse) -> None:
    target.prepare()
    target.release(force=True)
    with place.open() as another:
        assert another.find_version() == len(MIGRATIONS)
        assert another.last_runs() == []
        another.load([], progress(ran_at=at(60)))
        another.load([], progress("tags", ran_at=at(90)))
        another.load([], progress("tags", scope="8", ran_at=at(30)))
        assert another.last_runs() == [("tags", at(90)), ("time_entries", at(60))]


def test_a_tried_write_leaves_no_row(place: WarehouseLocation, target: Warehouse) -> None:
    target.prepare()
    before = rows(target, 'select "key" from "settings"')
    target.try_write()
    # A store that keeps tables only proves by a setting of its own that it can be written.
    there = rows(target, """select "key" from "settings" where "key" <> 'written'""")
    assert there == before
    assert place.is_table_store or rows(target, 'select "key" from "settings"') == before


def test_the_columns_of_a_table_are_those_of_its_schema(target: Warehouse) -> None:
    for stream, schema in TABLES.items():
        table = target.query(f'select * from "{stream}"')
        assert table.column_names == [column.name for column in schema.columns]
        types = {name: str(table.schema.field(name).type) for name in ("id", "seen_at", "updated_at")}
        assert types == {"id": "int64", "seen_at": "timestamp[us, tz=UTC]", "updated_at": "timestamp[us, tz=UTC]"}


def test_a_warehouse_made_by_a_later_version_is_refused(place: WarehouseLocation, target: Warehouse) -> None:
    target.prepare()
    with target.transaction() as session:
        session.run(STATEMENTS["insert_version"], [99, NOON])
    target.close()
    with place.open() as later, pytest.raises(SchemaTooNew, match="version 99; this version of airflow-provider"):
        later.counts()


def test_an_older_warehouse_gets_what_later_versions_brought(
    place: WarehouseLocation, target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place.is_table_store:
        pytest.skip("its store adds what is missing, see the tests of each")
    target.load([entries(1)])
    target.close()
    more = (*MIGRATIONS, lambda _: ['alter table "time_entries" add column "mood" integer'])
    monkeypatch.setattr(migrations, "MIGRATIONS", more)
    with place.open() as later:
        assert rows(later, 'select "id", "mood" from "time_entries"') == [(1, None)]
        assert rows(later, 'select max("version") from "schema_version"') == [(len(more),)]
        assert later.load([entries(1, 2, seconds=1)]) == LoadResult(inserted=1, unchanged=1)


# -- days that changed -------------------------------------------------------------------------------------------------


def changed(target: Warehouse, since: int = 0, workspace_id: int | None = None) -> tuple[list[str], int]:
    with target.transaction() as session:
        found = find_days(session, since, workspace_id)
    return [str(day) for day in found.days], found.cursor


def test_each_day_that_changed_since_a_cursor_is_returned(target: Warehouse) -> None:
    target.load([entries(1, 2, start="2025-05-01T10:00:00Z"), tags(1)])
    found, cursor = changed(target)
    assert found == ["2025-05-01"]
    # Seen again, or of another stream: no day has changed.
    target.load([entries(1, 2, start="2025-05-01T10:00:00Z", seconds=5), tags(1, 2)])
    assert changed(target, cursor) == ([], cursor)
    target.load([entries(2, start="2025-05-03T10:00:00Z", seconds=9)])
    assert changed(target, cursor)[0] == ["2025-05-01", "2025-05-03"]
    assert changed(target, cursor, workspace_id=8)[0] == []
    # The list holds each day once, with its latest change.
    assert rows(target, 'select count(*) from "changed_days"') == [(2,)]
    # A cursor of another warehouse, one that had come further, is worth nothing here.
    assert changed(target, cursor + 1000)[0] == ["2025-05-01", "2025-05-03"]


def test_an_entry_that_goes_or_comes_back_changes_its_day(target: Warehouse) -> None:
    entry = {"start": "2025-05-01T10:00:00Z"}
    target.load([entries(1, 2, **entry)])
    _, cursor = changed(target)
    target.load([entries(1, seconds=10, **entry)], None, Sweep(WORKSPACE, at(10)))
    found, cursor = changed(target, cursor)
    assert found == ["2025-05-01"]
    target.load([entries(2, seconds=20, **entry)])
    assert changed(target, cursor)[0] == ["2025-05-01"]


def test_a_load_that_failed_changes_no_day(target: Warehouse) -> None:
    target.load([entries(*range(1, 60), start="2025-05-01T10:00:00Z")])
    _, cursor = changed(target)
    with pytest.raises(AbsenceRefused):
        target.load([entries(1, start="2025-05-02T10:00:00Z", seconds=9)], None, Sweep(WORKSPACE, at(9)))
    assert changed(target, cursor) == ([], cursor)


def test_another_zone_changes_the_days_that_it_moves_entries_from_and_to(target: Warehouse) -> None:
    target.load([entries(1, start="2025-05-01T23:30:00Z")])
    _, cursor = changed(target)
    target.prepare("Europe/Berlin")
    found, cursor = changed(target, cursor)
    assert found == ["2025-05-01", "2025-05-02"]
    target.prepare("Europe/Berlin")
    assert changed(target, cursor) == ([], cursor)


# -- loading ----------------------------------------------------------------------------------------------------------


def test_a_load_returns_what_it_did(target: Warehouse) -> None:
    assert target.load([]) == LoadResult()
    assert target.load([entries(1, 2), entries(3)]) == LoadResult(inserted=3)
    assert target.load([entries(1, 2)]) == LoadResult(unchanged=2)
    assert target.load([entries(2, 4, seconds=1)]) == LoadResult(inserted=1, unchanged=1)
    assert target.load([entries(5, 5)]) == LoadResult(inserted=1, unchanged=1)
    assert target.load([entries(5, 6, seconds=2, description="other")]) == LoadResult(inserted=1, updated=1)
    assert count(target, "time_entries") == 6


def test_what_went_or_came_back_has_changed_and_what_is_gone_as_before_has_not(target: Warehouse) -> None:
    gone = {"id": 1, "server_deleted_at": at(5).isoformat()}
    target.load([entries(1, 2)])
    assert target.load([decode("time_entries", gone, seconds=6)]) == LoadResult(updated=1)
    assert target.load(
        [decode("time_entries", {**gone, "server_deleted_at": at(7).isoformat()}, seconds=8)]
    ) == LoadResult(unchanged=1)
    assert live(target, "time_entries") == [2]
    assert target.load([entries(1, 2, seconds=9)]) == LoadResult(updated=1, unchanged=1)
    assert live(target, "time_entries") == [1, 2]


TEXTS = ["", " ", "a ", "A", "a", "Grüße 🎉 \U0010ffff", "x" * 100_000, "'\"\\\n\r\t,{}", "null", "NULL", "\\N", "%s ?"]


def test_every_text_comes_back_as_it_went_in(place: WarehouseLocation, target: Warehouse) -> None:
    known = [text[: 16_000 if place.engine == "ansi" else None] for text in TEXTS]
    texts = [*known, None, "lone \ud800 surrogate"]
    batch = decode("time_entries", *(report_row(n, description=text) for n, text in enumerate(texts)))
    wanted = [*known, None, "lone \ufffd surrogate"]
    for seconds in (0, 1, 1):
        target.load([batch, decode("time_entries", report_row(99, description="x"), seconds=seconds)])
        found = rows(target, 'select "description" from "time_entries" where "id" < 99 order by "id"')
        assert [text for (text,) in found] == wanted


def test_a_text_that_differs_in_case_or_blanks_alone_has_changed(target: Warehouse) -> None:
    for seconds, text in enumerate(["a", "A", "a", "a ", "a", "á"]):
        loaded = target.load([entries(1, description=text, seconds=seconds)])
        assert loaded == (LoadResult(updated=1) if seconds else LoadResult(inserted=1))
        assert rows(target, 'select "description" from "time_entries"') == [(text,)]


def test_a_nul_character_comes_back_or_as_a_sign_that_it_was_there(place: WarehouseLocation, target: Warehouse) -> None:
    if place.engine == "ansi":
        pytest.skip("what an engine does with it that is not known, nobody knows")
    for _ in range(2):
        target.load([entries(1, description="a\0b")])
    sign = "\ufffd" if place.engine == "postgres" else "\0"
    assert rows(target, 'select "description" from "time_entries"') == [(f"a{sign}b",)]


def test_numbers_lists_booleans_and_instants_come_back_as_they_went_in(target: Warehouse) -> None:
    row = report_row(2**63 - 1, tag_ids=[2**53 + 1, -5], billable=None, stop="2025-05-01T07:00:00Z", seconds=-(2**63))
    target.load([decode("time_entries", row, v9_entry(3, billable=True, at="2025-05-02T17:03:50.999999Z"))])
    found = rows(target, 'select "id", "tag_ids", "billable", "stop", "duration" from "time_entries" order by "id"')
    stop = datetime(2025, 5, 1, 7, tzinfo=timezone.utc)
    assert (found[1][0], listed(found[1][1]), *found[1][2:]) == (2**63 - 1, [2**53 + 1, -5], None, stop, -(2**63))
    assert (listed(found[0][1]), found[0][2]) == ([], True)
    updated = rows(target, 'select "updated_at" from "time_entries" where "id" = 3')
    assert updated == [(datetime(2025, 5, 2, 17, 3, 50, tzinfo=timezone.utc),)]


def test_money_dates_and_nested_settings_of_a_project_are_kept(target: Warehouse) -> None:
    nested = [{"period": "monthly", "a": '\0é"\\'}]
    project = {"id": 1, "name": "P", "rate": 12.5, "fixed_fee": 0.1, "start_date": "2025-04-09"}
    batch = decode("projects", {**project, "recurring_parameters": nested})
    for expected in (LoadResult(inserted=1), LoadResult(unchanged=1)):
        assert target.load([batch]) == expected
    found = rows(target, 'select "rate", "fixed_fee", "start_date", "recurring_parameters" from "projects"')
    ((rate, fee, day, text),) = found
    assert (rate, fee, str(day), json.loads(text)) == (12.5, 0.1, "2025-04-09", nested)


def test_a_rejected_record_is_kept_once_with_its_latest_time(target: Warehouse) -> None:
    good, bad = {"id": 1, "name": "x"}, {"id": 2, "colour": "röd"}
    for seconds in (5, 5, 9, 7):
        assert target.load([decode("tags", good, bad, seconds=seconds)]).rejected == 1
    found = rows(target, 'select "stream", "workspace_id", "raw", "reason", "observed_at" from "rejected_records"')
    raw = json.dumps(bad)
    assert found == [("tags", WORKSPACE, raw, "name: missing", at(9))]


def test_equal_rejected_records_of_one_load_are_one(target: Warehouse) -> None:
    good, bad = {"id": 1, "name": "x"}, {"id": 2}
    target.load([decode("tags", good, good, bad, bad), decode("tags", good, bad, workspace_id=8)])
    assert rows(target, 'select "workspace_id" from "rejected_records" order by 1') == [(WORKSPACE,), (8,)]


def test_a_failure_at_the_last_step_takes_back_all_steps(target: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    target.load([entries(1)])

    def fail(*_: object) -> None:
        raise RuntimeError("the disk burnt")

    with monkeypatch.context() as patch:
        patch.setattr(steps, "store_progress", fail)
        with pytest.raises(RuntimeError, match="the disk burnt"):
            target.load([entries(1, 2, seconds=5), tags(1)], progress())
    assert rows(target, 'select "id", "seen_at" from "time_entries"') == [(1, NOON)]
    assert count(target, "tags") == 0
    assert target.load([entries(1, 2, seconds=5)]) == LoadResult(inserted=1, unchanged=1)


# -- what really changed -----------------------------------------------------------------------------------------------


def on_day(id_: int, day: str, seconds: float = 0, **fields: Any) -> Any:
    start, stop = f"{day}T08:00:00+00:00", f"{day}T08:45:00+00:00"
    return decode("time_entries", v9_entry(id_, start=start, stop=stop, **fields), seconds=seconds)


def days(target: Warehouse, *batches: Any, **options: Any) -> tuple[list[str], tuple[int, ...]]:
    loaded = target.load(batches, collect_days=True, **options)
    assert {workspace for workspace, _ in loaded.changed_days} <= {WORKSPACE}
    return sorted(str(day) for _, day in loaded.changed_days), loaded.changed_ids


def test_days_are_those_of_entries_that_are_new_or_changed(target: Warehouse) -> None:
    assert days(target, on_day(1, "2025-05-01"), on_day(2, "2025-05-02"), tags(5)) == (
        ["2025-05-01", "2025-05-02"],
        (1, 2),
    )
    assert days(target, on_day(1, "2025-05-01", 1), on_day(2, "2025-05-02", 1)) == ([], ())
    assert days(target, on_day(1, "2025-05-01", 2), on_day(2, "2025-05-02", 2, description="new")) == (
        ["2025-05-02"],
        (2,),
    )
    assert days(target, on_day(3, "2025-05-03", 3), on_day(3, "2025-05-04", 4)) == (["2025-05-04"], (3,))


def test_an_entry_that_moved_counts_its_old_day_and_its_new_one(target: Warehouse) -> None:
    target.load([on_day(1, "2025-05-01")])
    assert days(target, on_day(1, "2025-06-01", 1)) == (["2025-05-01", "2025-06-01"], (1,))


def test_a_deletion_with_ids_only_counts_on_the_stored_day_once(target: Warehouse) -> None:
    target.load([on_day(1, "2025-05-01")])
    gone = decode("time_entries", {"id": 1, "server_deleted_at": at(5).isoformat()}, seconds=6)
    assert days(target, gone) == (["2025-05-01"], (1,))
    assert days(target, gone) == ([], ())
    assert days(target, decode("time_entries", {"id": 9, "server_deleted_at": at(5).isoformat()})) == ([], (9,))


def test_what_a_sweep_marks_counts_by_its_day(target: Warehouse) -> None:
    target.load([on_day(1, "2025-05-01"), on_day(2, "2025-05-02")])
    options = {"progress": progress(), "sweep": Sweep(WORKSPACE, at(10))}
    assert days(target, on_day(1, "2025-05-01", 10), **options) == (["2025-05-02"], (2,))
    assert days(target, on_day(1, "2025-05-01", 10), **options) == ([], ())
    assert days(target, on_day(2, "2025-05-02", 5)) == ([], ())
    assert days(target, on_day(2, "2025-05-02", 11)) == (["2025-05-02"], (2,))


# -- progress ----------------------------------------------------------------------------------------------------------


def test_progress_is_stored_per_stream_and_scope_and_requests_add_up(target: Warehouse) -> None:
    target.load([], progress())
    target.load([entries(1)], progress(watermark=None, cursor='{"page": 2}', requests_spent=2, ran_at=at(90)))
    watermark = NOON + timedelta(microseconds=123456)
    target.load([], progress("tags", watermark=watermark, requests_spent=1))
    assert target.find_state("time_entries", "7") == Progress("time_entries", "7", None, '{"page": 2}', 5, at(90))
    assert target.find_state("tags", "7") == Progress("tags", "7", watermark, "{}", 1, at(60))
    assert target.find_state("tags", "8") is None


# -- sweeps ------------------------------------------------------------------------------------------------------------


def test_what_a_complete_list_has_not_is_absent_until_it_is_seen_again(target: Warehouse) -> None:
    target.load([tags(1, 2, 3)])
    assert target.load([tags(1, 3, seconds=10)], None, Sweep(WORKSPACE, at(10))) == LoadResult(unchanged=2, absent=1)
    assert live(target) == [1, 3]
    assert target.load([tags(2, seconds=20)]) == LoadResult(updated=1)
    assert live(target) == [1, 2, 3]


def test_an_empty_complete_list_is_a_list(target: Warehouse) -> None:
    target.load([tags(1, 2)])
    assert target.load([tags()], None, Sweep(WORKSPACE, at(10))).absent == 2
    assert live(target) == []


def test_a_complete_list_is_of_one_workspace(target: Warehouse) -> None:
    target.load([tags(1), tags(2, workspace_id=8)])
    assert target.load([], progress("tags"), Sweep(WORKSPACE, at(10))).absent == 1
    assert live(target) == [2]


def test_the_same_sweep_again_and_an_older_one_change_nothing(target: Warehouse) -> None:
    target.load([tags(1, 2)])
    for seconds in (10, 10, 5):
        target.load([], progress("tags"), Sweep(WORKSPACE, at(seconds)))
    assert rows(target, 'select "absent_at" from "tags"') == [(at(10),)] * 2


def test_news_from_before_a_complete_list_do_not_bring_back_what_it_had_not(target: Warehouse) -> None:
    target.load([tags(1, seconds=10)], None, Sweep(WORKSPACE, at(10)))
    assert target.load([tags(2, seconds=4)]) == LoadResult(inserted=1)
    assert target.load([tags(2, seconds=5)]) == LoadResult(unchanged=1)
    assert live(target) == [1]


def test_too_many_absent_at_once_are_refused_and_nothing_is_loaded(target: Warehouse) -> None:
    target.load([tags(*range(100))])
    sweep = Sweep(WORKSPACE, at(10))
    with pytest.raises(
        AbsenceRefused, match=r"lacks 60 of 100 live rows \(60%\).*absent_rows=20.*absent_share=20%.*absent_share=1"
    ):
        target.load([tags(*range(40), seconds=10)], progress("tags"), sweep)
    assert len(live(target)) == 100
    assert rows(target, 'select count(*) from "tags" where "seen_at" > ?', [at(5)]) == [(0,)]
    assert target.find_state("tags", "7") is None


# -- views -------------------------------------------------------------------------------------------------------------


def test_live_entries_are_those_that_exist_by_the_latest_known(target: Warehouse) -> None:
    gone = {"id": 2, "server_deleted_at": at(5).isoformat()}
    target.load([entries(1, 2, 3), decode("time_entries", gone, seconds=6)])
    assert rows(target, 'select "id" from "live_time_entries" order by "id"') == [(1,), (3,)]


FACTS = """select "user_name", "client_id", "client_name", "project_name", "task_name", "tag_names", "hours", "amount",
    "currency" from "time_entry_facts" order by "time_entry_id" """


def names_of_tags(place: WarehouseLocation, value: Any, wanted: list[str | None]) -> None:
    if place.engine == "bigquery":
        # Its arrays cannot hold null.
        wanted = [name or "" for name in wanted]
    assert listed(value) == (None if place.engine == "ansi" else wanted)


def test_facts_have_names_hours_and_amounts(place: WarehouseLocation, target: Warehouse) -> None:
    named = [
        decode("users", {"id": 10, "fullname": "Ada"}),
        decode("clients", {"id": 30, "name": "Client"}),
        decode("projects", {"id": 20, "name": "Project", "client_id": 30}),
        decode("tasks", {"id": 40, "name": "Task", "project_id": 20}),
        tags(1, 2),
    ]
    row = report_row(1, task_id=40, tag_ids=[2, 1, 99], billable_amount_in_cents=4567)
    target.load([decode("time_entries", row), *named])
    ((*names, tag_names, hours, amount, currency),) = rows(target, FACTS)
    assert names == ["Ada", 30, "Client", "Project", "Task"]
    names_of_tags(place, tag_names, ["tag 2", "tag 1", None])
    assert (float(hours), f"{amount:.2f}", currency) == (0.75, "45.67", "USD")


def test_facts_do_without_names_and_amounts_that_are_not_known(place: WarehouseLocation, target: Warehouse) -> None:
    target.load([decode("time_entries", report_row(1, tag_ids=[5]), report_row(2, stop=None, seconds=-1))])
    first, second = rows(target, FACTS)
    for row, hours, wanted in ((first, 0.75, [None]), (second, None, [])):
        assert [*row[:5], *row[6:8]] == [None] * 5 + [hours, None]
        names_of_tags(place, row[5], wanted)


ZONES = [
    (None, "2025-03-29T23:30:00Z", "2025-03-29"),
    ("Europe/Berlin", "2025-03-29T22:59:59Z", "2025-03-29"),
    ("Europe/Berlin", "2025-03-29T23:00:00Z", "2025-03-30"),
    # Clocks went forward that night: the day has 23 hours.
    ("Europe/Berlin", "2025-03-30T21:59:59Z", "2025-03-30"),
    ("Europe/Berlin", "2025-03-30T22:00:00Z", "2025-03-31"),
    # And back: this one has 25.
    ("Europe/Berlin", "2025-10-25T22:00:00Z", "2025-10-26"),
    ("Europe/Berlin", "2025-10-26T22:59:59Z", "2025-10-26"),
    ("Europe/Berlin", "2025-10-26T23:00:00Z", "2025-10-27"),
    ("America/Los_Angeles", "2025-06-02T06:59:59.999999Z", "2025-06-01"),
    ("Pacific/Kiritimati", "2025-06-01T10:00:00Z", "2025-06-02"),
    ("Asia/Kathmandu", "2025-06-01T18:14:59.999999Z", "2025-06-01"),
    ("Asia/Kathmandu", "2025-06-01T18:15:00Z", "2025-06-02"),
]


def test_the_local_date_is_that_of_the_zone_on_days_of_any_length(target: Warehouse) -> None:
    target.load([decode("time_entries", *(report_row(n, start=start) for n, (_, start, _) in enumerate(ZONES)))])
    for zone in dict.fromkeys(zone for zone, _, _ in ZONES):
        target.prepare(timezone=zone)
        found = rows(target, 'select "local_date" from "time_entry_facts" order by "time_entry_id"')
        cases = [(str(day), wanted) for (day,), (name, _, wanted) in zip(found, ZONES, strict=True) if name == zone]
        assert [day for day, _ in cases] == [wanted for _, wanted in cases]


def test_the_zone_can_be_changed_and_stays(target: Warehouse) -> None:
    target.load([decode("time_entries", report_row(1, start="2025-06-01T23:00:00Z"))])
    for zone, day in (("Asia/Tokyo", 2), ("UTC", 1), ("Europe/Berlin", 2)):
        target.set_timezone(zone)
        target.prepare()
        assert rows(target, 'select "local_date" from "time_entry_facts"') == [(date(2025, 6, day),)]


def test_a_zone_that_does_not_exist_is_refused(target: Warehouse) -> None:
    for zone in ("Mars/Olympus", "", "'; drop table tags; --"):
        with pytest.raises(ConfigurationError, match="no time zone"):
            target.prepare(timezone=zone)
    assert count(target, "tags") == 0


# -- questions ---------------------------------------------------------------------------------------------------------


def test_a_query_finds_tables_and_views_without_their_schema(target: Warehouse) -> None:
    target.load([entries(7)])
    found = target.query(
        """select "id", 'a?b' as "odd ""name?", 50 % 7 as modulo from "live_time_entries" where "id" = ?""", [7]
    )
    assert found.to_pylist() == [{"id": 7, 'odd "name?': "a?b", "modulo": 1}]


def test_days_of_a_workspace_are_read_with_instants_as_parameters(target: Warehouse) -> None:
    target.load([on_day(day, f"2025-05-0{day}") for day in (1, 2, 3)])
    target.load([decode("time_entries", {"id": 2, "server_deleted_at": at(5).isoformat()}, seconds=6)])
    sql = """select id, user_id, project_id, duration, start, updated_at, seen_at, deleted_at, absent_at
        from time_entries where workspace_id = ? and start >= ? and start < ? order by id"""
    begin = datetime(2025, 5, 1, 10, tzinfo=timezone(timedelta(hours=2)))
    table = target.query(sql, [WORKSPACE, begin, begin + timedelta(days=1, microseconds=1)])
    assert table["id"].to_pylist() == [1, 2]
    assert table["duration"].to_pylist() == [2700, 2700]
    assert table["start"].to_pylist() == [begin, begin + timedelta(days=1)]
    assert table["deleted_at"].to_pylist() == [None, at(5)]
    for name in ("start", "updated_at", "seen_at", "deleted_at", "absent_at"):
        assert str(table.schema.field(name).type) == "timestamp[us, tz=UTC]"
    for name in ("id", "user_id", "project_id", "duration"):
        assert str(table.schema.field(name).type) == "int64"


# -- several at once, and sudden ends ----------------------------------------------------------------------------------


def test_processes_that_load_into_one_table_wait_for_each_other_and_lose_nothing(place: WarehouseLocation) -> None:
    # The same entries by half, so that they meet in rows and not only in the table.
    with loading(place, first=0, pages=6, size=20) as one, loading(place, first=60, pages=6, size=20) as other:
        assert [process.wait(timeout=120) for process in (one, other)] == [0, 0]
    with place.open() as target:
        assert count(target, "time_entries") == 180
        assert rows(target, 'select count(*), min("cursor"), sum("requests_spent") from "sync_state"') == [(2, "5", 12)]
        seen = rows(target, 'select max("seen_at") from "time_entries" where "id" between 60 and 119')
        assert seen == [(at(5),)]


def test_killed_at_any_moment_rows_and_progress_agree(place: WarehouseLocation) -> None:
    after_page = 1
    with loading(place, first=0, pages=1000, size=100) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= after_page:
                break
        process.kill()
        process.wait()
    with place.open() as target:
        state = target.find_state("time_entries", str(process.pid))
        assert state is not None
        assert int(state.cursor) >= after_page
        assert count(target, "time_entries") == 100 * (int(state.cursor) + 1)
        assert state.requests_spent == int(state.cursor) + 1


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_killed_twenty_times_at_random_moments_rows_and_progress_agree(place: WarehouseLocation) -> None:
    chance, size, loaded = random.Random(7), 20, 0
    for turn in range(20):
        first = 10_000 * turn
        with loading(place, first=first, pages=500, size=size) as process:
            assert process.stdout is not None
            if turn % 2:
                process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 3))
            process.kill()
            process.wait()
        # In one statement: a server may end a commit that has begun after its client was killed.
        progress = f"""select max("cursor") from "sync_state" where "scope" = '{process.pid}'"""
        found = f'select ({progress}), count(*), count(distinct "id") from "time_entries" where "id" between ? and ?'
        with place.open() as target:
            ((cursor, *counts),) = rows(target, found, [first, first + 9_999])
        pages = 0 if cursor is None else int(cursor) + 1
        assert counts == [size * pages] * 2
        loaded += size * pages
    with place.open() as target:
        assert count(target, "time_entries") == loaded > 0


def test_a_warehouse_that_was_closed_opens_again(target: Warehouse, clock: FakeClock) -> None:
    target.load([tags(1)])
    target.release(force=True)
    target.close()
    assert count(target, "tags") == 1
