from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_toggl.core.events.sqlite.inspection import find_file_system, find_risks, inspect_file

MOUNTS = r"""
/dev/vda / ext4 rw 0 0
none /srv tmpfs rw 0 0
server:/share /srv/my\040share nfs4 rw 0 0
odd
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/var/lib/x", "ext4"), ("/srv/a", "tmpfs"), ("/srv/my share/a", "nfs4"), ("/srvother/a", "ext4")],
)
def test_the_file_system_is_that_of_the_longest_place(path: str, kind: str) -> None:
    assert find_file_system(Path(path), MOUNTS) == kind
    assert find_file_system(Path(path), "") is None


@pytest.mark.parametrize(
    ("journal", "file_system", "words"),
    [
        ("delete", "ext4", ["journal mode"]),
        ("wal", "nfs4", ["network"]),
        ("wal", "cifs", ["network"]),
        ("wal", "tmpfs", ["memory"]),
        ("wal", "overlay", []),
        ("wal", None, []),
    ],
)
def test_what_could_lose_events_is_a_risk(journal: str, file_system: str | None, words: list[str]) -> None:
    risks = find_risks(journal, file_system)
    assert len(risks) == len(words)
    assert all(word in risk for word, risk in zip(words, risks, strict=True))


def test_damaged_pages_are_found(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("create table a (b text); create index c on a (b);")
        db.executemany("insert into a values (?)", [("x" * 300,)] * 2000)
        db.commit()
        assert inspect_file(db, path, 2, 5).damage is None
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 4)
    with closing(sqlite3.connect(path)) as db:
        facts = inspect_file(db, path, 2, 5)
        assert facts.damage
        assert facts.free_bytes


def test_a_check_that_takes_too_long_is_left_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "file.sqlite"
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table a (b text)")
        db.executemany("insert into a values (?)", [("x" * 300,)] * 20_000)
        db.commit()
        assert inspect_file(db, path, 2, -1).damage is None
        assert db.execute("select count(*) from a").fetchone() == (20_000,)
