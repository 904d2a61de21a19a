from __future__ import annotations

import gc
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.disks import small_disk
from support.pulls import unprivileged

from airflow_provider_toggl.core.client.limits.state_file import StateFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toggl" / "quota.sqlite"


def write(book: StateFile, workspace: int = 7) -> None:
    with book.transaction() as db:
        db.execute("INSERT OR REPLACE INTO workspace VALUES ('t', ?, 3)", (workspace,))


def read(book: StateFile) -> list[int]:
    with book.transaction() as db:
        return [row[0] for row in db.execute("SELECT workspace_id FROM workspace ORDER BY 1")]


def test_the_file_is_made_with_its_folder_and_is_nobody_else_s(path: Path) -> None:
    write(StateFile(path))
    assert read(StateFile(path)) == [7]
    assert path.stat().st_mode & 0o077 == 0


def test_what_an_error_interrupted_is_not_kept(path: Path) -> None:
    book = StateFile(path)

    def fail() -> None:
        with book.transaction() as db:
            db.execute("INSERT INTO workspace VALUES ('t', 7, 3)")
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert read(book) == []


def overwrite_all(path: Path) -> None:
    path.write_bytes(b"this is no database at all" * 400)


def overwrite_second_half(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 2))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [overwrite_all, overwrite_second_half, cut_off])
def test_a_damaged_file_is_begun_anew_with_a_warning(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    book = StateFile(path)
    with book.transaction() as db:
        db.executemany("INSERT OR REPLACE INTO workspace VALUES ('t', ?, 3)", [(number,) for number in range(2000)])
    damage(path)
    with caplog.at_level(logging.WARNING):
        write(book)
    assert read(book) == [7]
    assert "damaged" in caplog.text


def test_an_empty_file_is_a_new_book(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    write(StateFile(path))
    assert read(StateFile(path)) == [7]


@pytest.mark.parametrize("place", ["a file for a folder", "a folder for a file"])
def test_where_no_file_can_be_the_book_is_this_process_s_alone(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "there" / "quota.sqlite"
    if place == "a file for a folder":
        path.parent.touch()
    else:
        path.mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        book = StateFile(path)
    assert "cannot be written" in caplog.text
    assert book.path is None
    write(book)
    assert read(book) == [7]
    assert read(StateFile(None)) == []


def test_a_folder_that_cannot_be_written_has_no_room_for_the_journal() -> None:
    # Not in tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quota.sqlite"
        path.touch()
        path.chmod(0o666)
        Path(folder).chmod(0o555)
        with unprivileged():
            assert StateFile(path).path is None
        Path(folder).chmod(0o700)


def test_a_file_of_another_version_keeps_what_is_its_own(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE pace (token TEXT)")
        db.execute("INSERT INTO pace VALUES ('t')")
    db.close()
    write(StateFile(path))
    with StateFile(path).transaction() as kept:
        assert kept.execute("SELECT token FROM pace").fetchall() == [("t",)]


def test_a_book_that_is_let_go_leaves_no_connection_open(recwarn: pytest.WarningsRecorder) -> None:
    book = StateFile(None)
    write(book)
    del book
    gc.collect()
    assert [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


def test_on_a_full_disk_the_book_is_kept_in_this_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "disk", kilobytes=256) as disk:
        with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        book = StateFile(disk / "quota.sqlite")
        write(book, 7)
        assert read(book) == [7]
        assert "disk is full" in caplog.text
        (disk / "rest").unlink()
        write(book, 8)
        assert read(book) == [8]
