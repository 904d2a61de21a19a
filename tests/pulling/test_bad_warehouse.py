"""A warehouse that cannot be written, is no database, or was made by a later version."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from support.pulls import Workspace, unprivileged

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseReadOnly

# Imported before a test gives up its rights: an ordinary user may not be able to read the interpreter's files.
from airflow_provider_toggl.core.load.decode import records  # noqa: F401


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may reach, unlike that of the test."""
    path = Path(tempfile.mkdtemp(prefix="warehouse-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def loaded(workspace: Workspace, folder: Path) -> Workspace:
    """A workspace whose tags are loaded into that folder."""
    workspace.path = folder / "warehouse.duckdb"
    with unprivileged():
        workspace.pull("tags")
    return workspace


def test_a_file_that_cannot_be_written_is_said_and_kept(loaded: Workspace):
    before = loaded.content("tags")
    loaded.toggl.reset_requests()
    loaded.path.chmod(0o444)
    with (
        unprivileged(),
        pytest.raises(WarehouseReadOnly, match=r"warehouse\.duckdb cannot be written: .*needs to write"),
    ):
        loaded.pull()
    assert loaded.content("tags") == before
    assert loaded.calls() == []
    loaded.path.chmod(0o666)
    with unprivileged():
        loaded.pull()
    assert loaded.wrong("time_entries", "tags") == []


def test_a_cursor_that_cannot_be_read_is_said_with_the_way_out(workspace: Workspace):
    workspace.pull()
    for cursor in ("gone", '{"coverage": 7}', "[]"):
        with duckdb.connect(str(workspace.path)) as db:
            db.execute("UPDATE toggl.sync_state SET cursor = ?", [cursor])
        with pytest.raises(ConfigurationError, match="Delete the row of this stream and scope there"):
            workspace.pull()
    with duckdb.connect(str(workspace.path)) as db:
        db.execute("DELETE FROM toggl.sync_state")
    workspace.pull()
    assert workspace.wrong("time_entries") == []


def test_rows_that_were_taken_away_by_hand_come_back_with_a_first_load(workspace: Workspace):
    workspace.pull()
    with duckdb.connect(str(workspace.path)) as db:
        db.execute("DELETE FROM toggl.time_entries")
        db.execute("DELETE FROM toggl.sync_state")
    workspace.pull()
    assert workspace.wrong("time_entries") == []


def test_a_folder_in_place_of_the_file_is_said(workspace: Workspace):
    workspace.path = workspace.path.with_name("other.duckdb")
    workspace.path.mkdir()
    with pytest.raises(WarehouseError, match=r"other\.duckdb"):
        workspace.pull()
