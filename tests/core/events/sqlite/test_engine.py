from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.event_stores import new_event

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    EventStoreDamaged,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.model import Appended
from airflow_provider_toggl.core.events.sqlite.engine import MAX_ROWS, SqliteEventStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(path, busy_timeout=0.2) as store:
        store.prepare()
        yield store


def fill(path: Path, count: int = 200) -> None:
    with SqliteEventStore(path) as store:
        store.prepare()
        store.append([new_event(number, body=b"x" * 1000) for number in range(1, count + 1)])


# -- how it is kept ----------------------------------------------------------------------------------------------------


def test_commits_are_flushed_and_readers_do_not_wait_for_the_writer(store: SqliteEventStore) -> None:
    with store.engine.file.connection() as db:
        settings = [db.execute(f"pragma {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_folders_are_made_and_the_file_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "new folder?" / "100%#.sqlite"
    fill(path, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_preparing_again_asks_one_question_and_writes_nothing(store: SqliteEventStore) -> None:
    asked: list[str] = []
    with store.engine.file.connection() as db:
        db.set_trace_callback(asked.append)
    store.prepare()
    assert len(asked) == 1
    assert asked[0].startswith("select version")


# -- others have it ----------------------------------------------------------------------------------------------------


def test_a_store_that_another_writes_to_for_too_long_is_reported_soon_and_can_be_read(
    path: Path, store: SqliteEventStore
) -> None:
    store.append([new_event(1)])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin immediate")
        begin = time.monotonic()
        with pytest.raises(EventStoreUnavailable, match=r"database is locked.*tried again"):
            store.append([new_event(2)])
        assert time.monotonic() - begin < 5
        assert store.count() == 1
        assert store.wait(0, 1)
    assert store.append([new_event(2)]) == [Appended(2, False)]


# -- no room, no right -------------------------------------------------------------------------------------------------


def test_a_full_disk_is_reported_and_what_was_being_stored_is_undone(store: SqliteEventStore) -> None:
    store.append([new_event(1)])
    with store.engine.file.connection() as db:
        (pages,) = db.execute("pragma page_count").fetchone()
        db.execute(f"pragma max_page_count = {pages + 2}")
    with pytest.raises(EventStoreUnavailable, match=r"full\. Make room"):
        store.append([new_event(number, body=b"x" * 3000) for number in range(2, 50)])
    assert [stored.seq for stored in store.read(0)] == [1]
    assert store.append([new_event(2)]) == [Appended(2, False)]


READ_AND_WRITE = """
import sys
from support.event_stores import StoreLocation, new_event
from airflow_provider_toggl.core.errors import EventStoreUnavailable
store = StoreLocation("sqlite", sys.argv[1]).build()
for work in (store.prepare, lambda: store.append([new_event(5)])):
    try:
        work()
    except EventStoreUnavailable as error:
        print(error)
"""


def test_a_store_of_another_user_is_reported(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    folder = tmp_path / "closed"
    fill(folder / "events.sqlite", 1)
    folder.chmod(0o755)
    (folder / "events.sqlite").chmod(0o644)
    tests = str(Path(__file__).parents[2])
    program = f"import os; os.chdir('/'); os.setgid(65534); os.setuid(65534)\n{READ_AND_WRITE}"
    # Its modules are loaded while it is still root: a checkout may be closed to others.
    program = f"from support.event_stores import StoreLocation; StoreLocation('sqlite', '/none').build()\n{program}"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / "events.sqlite")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert "Permission denied" in lines[0]
    assert "writable for every user" in lines[1]


def test_a_place_where_no_file_can_be_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        SqliteEventStore(tmp_path / "file" / "events.sqlite") as store,
        pytest.raises(EventStoreUnavailable, match="cannot be written"),
    ):
        store.prepare()


# -- damage ------------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_database_is_reported_and_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"somebody's notes" * 100)
    with SqliteEventStore(path) as store:
        for work in (store.prepare, store.count, lambda: store.append([new_event(1)])):
            with pytest.raises(EventStoreDamaged, match=r"is damaged: file is not a database\. Keep a copy"):
                work()
    assert path.read_bytes() == b"somebody's notes" * 100


def test_a_database_of_something_else_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table dag_run (id integer)")
    with SqliteEventStore(path) as store, pytest.raises(ConfigurationError, match="database of something else"):
        store.prepare()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select name from sqlite_master").fetchall() == [("dag_run",)]


def test_broken_pages_are_reported_and_never_begun_anew(path: Path) -> None:
    fill(path)
    broken = bytearray(path.read_bytes())
    for page in range(2, len(broken) // 4096):
        broken[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(broken)
    with SqliteEventStore(path) as store:
        store.prepare()
        for work in (lambda: store.read(0), lambda: store.append([new_event(10**6)]), lambda: store.wait(0, 1)):
            with pytest.raises(EventStoreDamaged, match="is damaged"):
                work()
    assert path.stat().st_size == len(broken)


def test_a_body_that_the_disk_changed_is_reported_with_its_number(path: Path) -> None:
    fill(path, 3)
    path.write_bytes(path.read_bytes().replace(b"x" * 1000, b"x" * 500 + b"y" + b"x" * 499, 1))
    with SqliteEventStore(path) as store:
        with pytest.raises(EventStoreDamaged, match=r"Event \d is not as it was stored"):
            store.read(0)
        assert store.count() == 3


@pytest.mark.parametrize("replacement", [None, "another store"])
def test_a_file_that_is_removed_or_replaced_while_in_use_is_reported(
    path: Path, store: SqliteEventStore, replacement: str | None
) -> None:
    store.append([new_event(1), new_event(2)])
    for each in path.parent.glob("events.sqlite*"):
        each.rename(each.with_name(f"moved-{each.name}"))
    if replacement:
        fill(path, 1)
    with pytest.raises(EventStoreDamaged, match="removed or replaced while it was in use"):
        store.append([new_event(3)])
    if replacement:
        assert store.count() == 1
    else:
        with pytest.raises(EventStoreUnavailable, match="must be there"):
            store.append([new_event(3)])
        assert not path.exists()


def test_preparing_again_does_not_let_others_take_the_log_away(path: Path, store: SqliteEventStore) -> None:
    program = (
        "import sys; from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore\n"
        "with SqliteEventStore(sys.argv[1]) as store: print([one.event.event_id for one in store.read(0)])"
    )

    def read_elsewhere() -> str:
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    store.append([new_event(1)])
    store.prepare()
    assert read_elsewhere() == "[1]"
    store.append([new_event(2)])
    assert read_elsewhere() == "[1, 2]"


# -- appending ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def statements(store: SqliteEventStore) -> list[str]:
    """The first words of each statement that the store's connection runs."""
    run: list[str] = []
    with store.engine.file.connection() as db:
        db.set_trace_callback(lambda text: run.append(" ".join(text.split()[:2])))
    return run


@pytest.mark.parametrize("size", [1, 2, MAX_ROWS])
def test_new_events_are_one_statement(store: SqliteEventStore, statements: list[str], size: int) -> None:
    appended = store.append([new_event(number) for number in range(1, size + 1)])
    assert appended == [Appended(number, False) for number in range(1, size + 1)]
    assert statements == ["insert into"]


def test_more_of_them_are_few_statements_of_one_transaction(store: SqliteEventStore, statements: list[str]) -> None:
    size = 3 * MAX_ROWS + 1
    assert [one.seq for one in store.append([new_event(number) for number in range(1, size + 1)])] == [
        *range(1, size + 1)
    ]
    assert statements == ["begin immediate", "select event_key,", *["insert into"] * 4, "commit"]


def test_numbers_go_on_after_the_greatest_that_was_ever_given(path: Path, store: SqliteEventStore) -> None:
    store.append([new_event(number) for number in range(1, 4)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("delete from events")
    assert store.append([new_event(3), new_event(4)]) == [Appended(4, False), Appended(5, False)]
