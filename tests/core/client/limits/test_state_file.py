from __future__ import annotations

import gc
import logging
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.disks import small_disk
from support.pulls import unprivileged

from airflow_provider_toggl.core.client.limits.state_file import StateFile
from airflow_provider_toggl.core.client.limits.token_state import TokenState


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "toggl" / "quota.sqlite"


def write(file: StateFile, *workspaces: int) -> None:
    def learn(state: TokenState, _: float) -> None:
        for workspace in workspaces or (7,):
            state.learn_organization(workspace, 3)

    file.update("t", 0.0, learn)


def read(file: StateFile) -> list[int]:
    return sorted(file.read("t", 0.0)[0].organizations)


def test_the_file_is_created_with_its_folder_and_only_its_owner_can_read_it(path: Path) -> None:
    write(StateFile(path))
    assert read(StateFile(path)) == [7]
    assert path.stat().st_mode & 0o077 == 0


def test_an_error_rolls_the_transaction_back(path: Path) -> None:
    file = StateFile(path)
    write(file, 7)

    def fail(state: TokenState, _: float) -> None:
        state.learn_organization(8, 3)
        raise KeyError

    with pytest.raises(KeyError):
        file.update("t", 0.0, fail)
    assert read(file) == [7]


@pytest.mark.parametrize("text", ['{"permits": "many"}', "{", b"\xff\xfe"])
def test_a_state_that_is_not_readable_is_replaced_with_a_warning(
    path: Path, text: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    file = StateFile(path)
    write(file, 7)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("update token_state set state = ?", [text])
    assert read(file) == []
    assert "is damaged and is replaced" in caplog.text


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
def test_a_damaged_file_is_replaced_with_a_warning(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    state = StateFile(path)
    write(state, *range(2000))
    damage(path)
    with caplog.at_level(logging.WARNING):
        write(state)
    assert read(state) == [7]
    assert "damaged" in caplog.text


def test_an_empty_file_is_a_new_state(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    write(StateFile(path))
    assert read(StateFile(path)) == [7]


@pytest.mark.parametrize("place", ["a file for a folder", "a folder for a file"])
def test_without_a_usable_file_the_state_is_kept_in_this_process(
    place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "there" / "quota.sqlite"
    if place == "a file for a folder":
        path.parent.touch()
    else:
        path.mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        state = StateFile(path)
    assert "cannot be written" in caplog.text
    assert state.path is None
    write(state)
    assert read(state) == [7]
    assert read(StateFile(None)) == []


def test_a_file_in_a_read_only_folder_is_not_used_because_sqlite_cannot_create_its_journal() -> None:
    # Not in tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quota.sqlite"
        path.touch()
        path.chmod(0o666)
        Path(folder).chmod(0o555)
        with unprivileged():
            assert StateFile(path).path is None
        Path(folder).chmod(0o700)


def test_tables_of_another_version_are_kept(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE pace (token TEXT)")
        db.execute("INSERT INTO pace VALUES ('t')")
    db.close()
    write(StateFile(path))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select token from pace").fetchall() == [("t",)]


def test_a_state_that_is_garbage_collected_leaves_no_connection_open(recwarn: pytest.WarningsRecorder) -> None:
    state = StateFile(None)
    write(state)
    del state
    gc.collect()
    assert [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


def test_a_file_that_can_no_longer_be_opened_is_an_error(path: Path) -> None:
    file = StateFile(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        write(file)


def test_on_a_full_disk_the_state_is_kept_in_this_process(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with small_disk(tmp_path / "disk", kilobytes=256) as disk:
        with (disk / "rest").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        state = StateFile(disk / "quota.sqlite")
        write(state, 7)
        assert read(state) == [7]
        assert "disk is full" in caplog.text
        (disk / "rest").unlink()
        write(state, 8)
        assert read(state) == [8]
