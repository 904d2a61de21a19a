from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from support.fakes import FakeClock
from support.observations import NOON, WORKSPACE, at, decode, entries, query, report_row, tags

from airflow_provider_toggl.core.errors import (
    AbsenceRefused,
    ConfigurationError,
    SchemaTooNew,
    WarehouseError,
)
from airflow_provider_toggl.core.land import duckdb_target
from airflow_provider_toggl.core.land.duckdb_target import MIGRATIONS, DuckdbTarget
from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.target import Landed, Progress, Sweep, SyncState


def progress(stream: str = "time_entries", **fields: object) -> Progress:
    values = {"scope": "7", "watermark": NOON, "cursor": "{}", "requests_spent": 3, "ran_at": at(60), **fields}
    return Progress(stream, **values)  # type: ignore[arg-type]


# Tables, versions, the file


def test_preparing_makes_every_table_and_view_and_repeating_it_changes_nothing(
    target: DuckdbTarget, warehouse: Path
) -> None:
    target.prepare()
    before = warehouse.read_bytes()
    target.prepare()
    names = query(warehouse, "select table_name from information_schema.tables where table_schema = 'toggl'")
    assert {name for (name,) in names} == {
        *TABLES,
        "sync_state",
        "rejected_records",
        "schema_version",
        "settings",
        "complete_lists",
        "live_time_entries",
        "time_entry_facts",
    }
    assert warehouse.read_bytes() == before


@pytest.mark.parametrize("stream", TABLES)
def test_the_columns_of_a_table_are_those_of_its_schema(target: DuckdbTarget, warehouse: Path, stream: str) -> None:
    target.prepare()
    found = query(warehouse, f"select name, type, pk from pragma_table_info('{stream}')")
    assert [(name, pk) for name, _, pk in found] == [(c.name, c.name == "id") for c in TABLES[stream].columns]
    types = {name: type_ for name, type_, _ in found}
    assert {types[name] for name in ("updated_at", "observed_at", "seen_at")} == {"TIMESTAMP WITH TIME ZONE"}
    assert types["id"] == "BIGINT"


def test_a_warehouse_made_by_a_later_version_is_refused(target: DuckdbTarget, warehouse: Path) -> None:
    target.prepare()
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("insert into toggl.schema_version values (99, now())").fetchall()
    with pytest.raises(SchemaTooNew, match="version 99; this version of airflow-provider-toggl knows"):
        target.counts()


def test_an_older_warehouse_gets_what_later_versions_brought(
    target: DuckdbTarget, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.land([entries(1)])
    later = (*MIGRATIONS, lambda: ["alter table time_entries add column mood varchar"])
    monkeypatch.setattr(duckdb_target, "MIGRATIONS", later)
    target.prepare()
    assert query(warehouse, "select id, mood from time_entries") == [(1, None)]
    assert query(warehouse, "select version from schema_version order by version") == [(1,), (2,)]


def test_a_migration_that_fails_leaves_the_version_before_it(
    target: DuckdbTarget, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(duckdb_target, "MIGRATIONS", (*MIGRATIONS, lambda: ["create table half (a int)", "nonsense"]))
        with pytest.raises(WarehouseError):
            target.prepare()
    assert target.counts()["tags"] == 0
    assert query(warehouse, "select count(*) from information_schema.tables where table_name = 'half'") == [(0,)]


@pytest.mark.parametrize("schema", ["toggl", "Mein Schema", 'quoted "twice"', "main"])
@pytest.mark.parametrize("name", ["toggl.duckdb", "a.b c.db"])
def test_schema_and_file_may_have_any_name_even_the_same(tmp_path: Path, schema: str, name: str) -> None:
    with DuckdbTarget(tmp_path / "new" / "folder" / name, schema=schema, hold_seconds=0) as target:
        assert target.land([entries(1, 2)]).inserted == 2
        assert target.counts()["time_entries"] == 2


def test_two_schemas_in_one_file_do_not_know_each_other(warehouse: Path) -> None:
    with DuckdbTarget(warehouse, schema="one") as one, DuckdbTarget(warehouse, schema="two") as two:
        one.land([entries(1)])
        one.close()
        assert two.counts()["time_entries"] == 0


def test_views_read_the_tables_beside_them_also_after_the_file_was_renamed(warehouse: Path) -> None:
    with DuckdbTarget(warehouse) as target:
        target.land([entries(1)])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table main.time_entries (id int)").fetchall()
    renamed = warehouse.rename(warehouse.with_name("toggl2.duckdb"))
    assert query(renamed, "select time_entry_id from toggl.time_entry_facts") == [(1,)]


# Landing


def test_what_a_landing_did_is_told(target: DuckdbTarget) -> None:
    assert target.land([]) == Landed()
    assert target.land([entries(1, 2), entries(3)]) == Landed(inserted=3)
    assert target.land([entries(1, 2)]) == Landed(unchanged=2)
    assert target.land([entries(2, 4, seconds=1)]) == Landed(inserted=1, unchanged=1)
    assert target.land([entries(5, 5)]) == Landed(inserted=1, unchanged=1)
    assert target.counts()["time_entries"] == 5


def test_several_streams_land_in_one_transaction(target: DuckdbTarget) -> None:
    assert target.land([entries(1), tags(1, 2), entries(2)]) == Landed(inserted=4)
    assert {name: n for name, n in target.counts().items() if n} == {"time_entries": 2, "tags": 2}


def test_every_kind_of_value_comes_back_as_it_went_in(target: DuckdbTarget, warehouse: Path) -> None:
    text = "Grüße 🎉\0" + "x" * 100_000
    row = report_row(2**63 - 1, description=text, tag_ids=[2**53 + 1], billable=None, stop="2025-05-01T07:00:00Z")
    target.land([decode("time_entries", row)])
    found = query(warehouse, 'select id, description, tag_ids, billable, epoch_us("stop") from time_entries')
    assert found == [(2**63 - 1, text, [2**53 + 1], None, 1746082800_000000)]


def test_money_dates_and_nested_settings_of_a_project_are_typed(target: DuckdbTarget, warehouse: Path) -> None:
    project = {
        "id": 1,
        "name": "P",
        "rate": 12.5,
        "start_date": "2025-04-09",
        "recurring_parameters": [{"period": "monthly"}],
    }
    target.land([decode("projects", project)])
    sql = "select rate, start_date::varchar, recurring_parameters->'$[0].period' from projects"
    assert query(warehouse, sql) == [(12.5, "2025-04-09", '"monthly"')]


def test_a_rejected_record_is_kept_once_with_its_latest_time(target: DuckdbTarget, warehouse: Path) -> None:
    good, bad = {"id": 1, "name": "x"}, {"id": 2, "colour": "red"}
    for seconds in (5, 5, 9, 7):
        assert target.land([decode("tags", good, bad, seconds=seconds)]).rejected == 1
    (found,) = query(
        warehouse,
        "select stream, workspace_id, raw, reason, epoch_us(observed_at), epoch_us(landed_at) from rejected_records",
    )
    assert found[:4] == ("tags", WORKSPACE, '{"id": 2, "colour": "red"}', "name: missing")
    assert found[4] == at(9).timestamp() * 1_000_000


def test_rejected_records_of_one_landing_that_are_alike_are_one(target: DuckdbTarget, warehouse: Path) -> None:
    good, bad = {"id": 1, "name": "x"}, {"id": 2}
    target.land([decode("tags", good, good, bad, bad), decode("tags", good, bad, workspace_id=8)])
    assert query(warehouse, "select workspace_id from rejected_records order by 1") == [(WORKSPACE,), (8,)]


# Progress


def test_there_is_no_state_before_the_first_landing(target: DuckdbTarget) -> None:
    assert target.find_state("time_entries", "7") is None


def test_progress_is_stored_per_stream_and_scope_and_requests_add_up(target: DuckdbTarget) -> None:
    target.land([], progress())
    target.land([entries(1)], progress(watermark=None, cursor='{"page": 2}', requests_spent=2, ran_at=at(90)))
    target.land([], progress("tags", scope="7", requests_spent=1))
    assert target.find_state("time_entries", "7") == SyncState("time_entries", "7", None, '{"page": 2}', at(90), 5)
    assert target.find_state("tags", "7") == SyncState("tags", "7", NOON, "{}", at(60), 1)
    assert target.find_state("tags", "8") is None


def test_a_watermark_keeps_its_microseconds_and_is_aware(target: DuckdbTarget) -> None:
    watermark = NOON + timedelta(microseconds=123456)
    target.land([], progress(watermark=watermark))
    state = target.find_state("time_entries", "7")
    assert state is not None
    assert state.watermark == watermark


# Sweeps


def is_live(warehouse: Path) -> list[int]:
    sql = """select id from tags where seen_at is not null and (deleted_at is null or seen_at > deleted_at)
        and (absent_at is null or seen_at > absent_at) order by id"""
    return [id_ for (id_,) in query(warehouse, sql)]


def test_what_a_complete_list_has_not_is_absent_until_it_is_seen_again(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([tags(1, 2, 3)])
    assert target.land([tags(1, 3, seconds=10)], None, Sweep(WORKSPACE, at(10))) == Landed(unchanged=2, absent=1)
    assert is_live(warehouse) == [1, 3]
    target.land([tags(2, seconds=20)])
    assert is_live(warehouse) == [1, 2, 3]


def test_an_empty_complete_list_is_a_list(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([tags(1, 2)])
    assert target.land([tags()], None, Sweep(WORKSPACE, at(10))).absent == 2
    assert is_live(warehouse) == []


def test_a_complete_list_is_of_one_workspace(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([tags(1), tags(2, workspace_id=8)])
    assert target.land([], progress("tags"), Sweep(WORKSPACE, at(10))).absent == 1
    assert is_live(warehouse) == [2]


def test_the_same_sweep_again_and_an_older_one_change_nothing(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([tags(1, 2)])
    for seconds in (10, 10, 5):
        target.land([], progress("tags"), Sweep(WORKSPACE, at(seconds)))
    found = query(warehouse, "select epoch_us(absent_at) from tags")
    assert found == [(at(10).timestamp() * 1_000_000,)] * 2


def test_news_from_before_a_complete_list_do_not_bring_back_what_it_had_not(
    target: DuckdbTarget, warehouse: Path
) -> None:
    target.land([tags(1, seconds=10)], None, Sweep(WORKSPACE, at(10)))
    target.land([tags(2, seconds=4)])
    target.land([tags(2, seconds=5)])
    assert is_live(warehouse) == [1]


def test_too_many_absent_at_once_are_refused_and_nothing_is_landed(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([tags(*range(100))])
    sweep = Sweep(WORKSPACE, at(10))
    with pytest.raises(AbsenceRefused, match=r"lacks 60 of 100 live rows \(60%\).*limit_rows=20.*limit_share=20%"):
        target.land([tags(*range(40), seconds=10)], progress("tags"), sweep)
    assert len(is_live(warehouse)) == 100
    assert query(warehouse, "select count(*) from tags where seen_at > timestamptz '2025-06-01 12:00:05Z'") == [(0,)]
    assert target.find_state("tags", "7") is None


@pytest.mark.parametrize(
    ("known", "gone", "limits"),
    [(100, 20, {}), (10, 10, {}), (1000, 200, {}), (100, 60, {"limit_share": 1.0}), (100, 60, {"limit_rows": 60})],
)
def test_few_absent_rows_or_a_small_share_or_what_a_person_allows_are_believed(
    target: DuckdbTarget, known: int, gone: int, limits: dict[str, float]
) -> None:
    target.land([tags(*range(known))])
    landed = target.land([tags(*range(gone, known), seconds=10)], None, Sweep(WORKSPACE, at(10), **limits))  # type: ignore[arg-type]
    assert landed.absent == gone


def test_a_sweep_must_be_of_one_stream(target: DuckdbTarget) -> None:
    for batches in ([], [tags(1), entries(1)]):
        with pytest.raises(ConfigurationError, match="A sweep is of one stream"):
            target.land(batches, None, Sweep(WORKSPACE, NOON))
    assert set(target.counts().values()) == {0}


# Views


def test_live_entries_are_those_that_exist_by_the_latest_known(target: DuckdbTarget, warehouse: Path) -> None:
    gone = {"id": 2, "server_deleted_at": at(5).isoformat()}
    target.land([entries(1, 2, 3), decode("time_entries", gone, seconds=6)])
    assert query(warehouse, "select id from live_time_entries order by id") == [(1,), (3,)]


def test_facts_have_names_hours_and_amounts(target: DuckdbTarget, warehouse: Path) -> None:
    named = [
        decode("users", {"id": 10, "fullname": "Ada"}),
        decode("clients", {"id": 30, "name": "Client"}),
        decode("projects", {"id": 20, "name": "Project", "client_id": 30}),
        decode("tasks", {"id": 40, "name": "Task", "project_id": 20}),
        tags(1, 2),
    ]
    row = report_row(1, task_id=40, tag_ids=[2, 1, 99], billable_amount_in_cents=4567)
    target.land([decode("time_entries", row), *named])
    sql = """select user_name, client_id, client_name, project_name, task_name, tag_names, hours,
        amount::varchar, currency from time_entry_facts"""
    assert query(warehouse, sql) == [
        ("Ada", 30, "Client", "Project", "Task", ["tag 2", "tag 1", None], 0.75, "45.67", "USD")
    ]


def test_facts_do_without_names_and_amounts_that_are_not_known(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([decode("time_entries", report_row(1, tag_ids=[5]), report_row(2, stop=None, seconds=-1))])
    sql = "select user_name, project_name, tag_names, hours, amount from time_entry_facts order by time_entry_id"
    assert query(warehouse, sql) == [(None, None, [None], 0.75, None), (None, None, [], None, None)]


@pytest.mark.parametrize(
    ("zone", "start", "local_date"),
    [
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
        ("America/Los_Angeles", "2025-06-02T06:59:59Z", "2025-06-01"),
        ("Pacific/Kiritimati", "2025-06-01T10:00:00Z", "2025-06-02"),
    ],
)
def test_the_local_date_is_that_of_the_zone_on_days_of_any_length(
    target: DuckdbTarget, warehouse: Path, zone: str | None, start: str, local_date: str
) -> None:
    target.prepare(timezone=zone)
    target.land([decode("time_entries", report_row(1, start=start))])
    assert query(warehouse, "select local_date::varchar from time_entry_facts") == [(local_date,)]


def test_the_zone_can_be_changed_and_stays(target: DuckdbTarget, warehouse: Path) -> None:
    target.land([decode("time_entries", report_row(1, start="2025-06-01T23:00:00Z"))])
    for zone, day in (("Asia/Tokyo", 2), ("UTC", 1), ("Europe/Berlin", 2)):
        target.set_timezone(zone)
        target.prepare()
        assert query(warehouse, "select day(local_date) from time_entry_facts") == [(day,)]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "'; drop table tags; --"])
def test_a_zone_that_does_not_exist_is_refused(target: DuckdbTarget, zone: str) -> None:
    with pytest.raises(ConfigurationError, match="no time zone"):
        target.prepare(timezone=zone)
    assert target.counts()["tags"] == 0


# Giving the file back, and sudden ends


def test_the_file_is_held_over_calls_and_then_given_back(warehouse: Path, clock: FakeClock) -> None:
    with DuckdbTarget(warehouse, clock=clock, hold_seconds=2) as target:
        target.land([tags(1)])
        assert target._file.is_open
        clock.sleep(1.9)
        target.release()
        assert target._file.is_open
        clock.sleep(0.2)
        target.release()
        assert not target._file.is_open
        target.land([tags(2)])
        target.release(force=True)
        assert not target._file.is_open
        assert target.counts()["tags"] == 2


def test_a_failed_call_gives_the_file_back_and_the_next_one_works(target: DuckdbTarget) -> None:
    with pytest.raises(ConfigurationError):
        target.set_timezone("nowhere")
    assert not target._file.is_open
    assert target.land([tags(1)]).inserted == 1


def test_threads_each_with_a_target_of_their_own_take_turns(warehouse: Path) -> None:
    def land(first: int) -> None:
        with DuckdbTarget(warehouse, hold_seconds=0, lock_timeout=60) as target:
            for number in range(5):
                target.land([entries(first + number)])

    threads = [threading.Thread(target=land, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query(warehouse, "select count(*) from time_entries") == [(20,)]


LANDS_ONE_PAGE_AFTER_ANOTHER = """
import sys
from support.observations import entries, at, NOON
from airflow_provider_toggl.core.land.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.land.target import Progress
first, pages, size, hold = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
with DuckdbTarget(sys.argv[1], hold_seconds=hold, lock_timeout=120) as target:
    for page in range(pages):
        ids = range(first + page * size, first + (page + 1) * size)
        target.land([entries(*ids)], Progress("time_entries", str(first), at(page), str(page), 1, NOON))
        target.release()
        print(page, flush=True)
"""


def start_landing(warehouse: Path, first: int, pages: int, size: int, hold: float) -> subprocess.Popen[str]:
    arguments = [str(warehouse), *map(str, (first, pages, size, hold))]
    return subprocess.Popen(
        [sys.executable, "-c", LANDS_ONE_PAGE_AFTER_ANOTHER, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )


def test_eight_processes_landing_into_one_file_wait_for_each_other(warehouse: Path) -> None:
    processes = [start_landing(warehouse, 10_000 * n, 5, 20, 0.05) for n in range(8)]
    assert [process.wait(timeout=120) for process in processes] == [0] * 8
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert query(warehouse, "select count(*) from time_entries") == [(800,)]
    assert query(warehouse, "select count(*), sum(requests_spent) from sync_state") == [(8, 40)]


@pytest.mark.parametrize("after_page", [0, 1, 3])
def test_killed_at_any_moment_rows_and_progress_agree(warehouse: Path, after_page: int) -> None:
    process = start_landing(warehouse, 0, 1000, 200, 0.1)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= after_page:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with DuckdbTarget(warehouse, lock_timeout=5) as target:
        state = target.find_state("time_entries", "0")
        assert state is not None
        landed = int(state.cursor)
        assert landed >= after_page
        assert target.counts()["time_entries"] == 200 * (landed + 1)
        assert state.requests_spent == landed + 1


# Questions


def test_a_query_finds_tables_and_views_without_their_schema(target: DuckdbTarget) -> None:
    target.prepare()
    target.land([entries(7)])
    found = target.query("select id, ? as word from live_time_entries", ["seven"])
    assert found.to_pylist() == [{"id": 7, "word": "seven"}]
