from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from support.fakes import FakeClock
from support.toggl_rows import decode, entries, query, report_row, tags

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    WarehouseError,
)
from airflow_provider_toggl.core.load import migrations
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.migrations import MIGRATIONS
from airflow_provider_toggl.core.load.schemas import TABLES

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
        "changed_days",
        "change_counter",
        "live_time_entries",
        "time_entry_facts",
        "time_entry_versions",
        "time_entry_changes",
        "time_entry_history",
    }
    assert warehouse.read_bytes() == before


def test_a_migration_that_fails_leaves_the_version_before_it(
    target: DuckdbTarget, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, lambda _: ["create table half (a int)", "nonsense"]))
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
from support.toggl_rows import entries, at, NOON
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.target import Progress
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
