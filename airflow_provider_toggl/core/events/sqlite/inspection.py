"""The state of the event store's SQLite file: its disk, its journal, its pages."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

from airflow_provider_toggl.core.databases.sqlite_file import find_free_bytes
from airflow_provider_toggl.core.events.model import StoreFacts

_MOUNTS = Path("/proc/self/mounts")
_NETWORK = re.compile(r"(nfs\d?|cifs|smb\w*|9p|lustre|ceph|gluster\w*|afs|fuse\.(sshfs|s3fs|gcsfuse|rclone))")
_MEMORY = ("tmpfs", "ramfs")
_STEPS = 10_000
"""Instructions of SQLite between two checks of the clock: about a millisecond."""


def inspect_file(db: sqlite3.Connection, path: Path, version: int, patience: float) -> StoreFacts:
    """Return the state of the file.

    :param db: a connection to it.
    :param version: of its tables.
    :param patience: seconds after which the check of its pages is abandoned.
    """
    (journal,) = db.execute("pragma journal_mode").fetchone()
    return StoreFacts(
        where=str(path),
        version=version,
        risks=tuple(find_risks(journal, find_file_system(path, _read_mounts()))),
        damage=_find_damage(db, patience),
        free_bytes=find_free_bytes(path),
    )


def find_risks(journal: str, file_system: str | None) -> list[str]:
    """Return what could lose acknowledged events, in words."""
    risks = []
    if journal != "wal":
        risks.append(f"its journal mode is {journal} and not wal, so readers and the receiver wait for each other")
    if file_system and _NETWORK.fullmatch(file_system):
        risks.append(f"it is on a network share ({file_system}), where SQLite's locks and logs do not hold")
    if file_system in _MEMORY:
        risks.append(f"it is kept in memory ({file_system}), and gone with the next start of the machine")
    return risks


def find_file_system(path: Path, mounts: str) -> str | None:
    """Return the type of the file system that a path is on, None where that is unknown.

    :param mounts: as in ``/proc/self/mounts``: device, mount point, type, options.
    """
    best, found = -1, None
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        # Spaces and the like in mount points are written in octal.
        mount_point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[1])
        if len(mount_point) >= best and path.is_relative_to(mount_point):
            best, found = len(mount_point), words[2]
    return found


def _read_mounts() -> str:
    try:
        return _MOUNTS.read_text(errors="replace")
    except OSError:
        return ""


def _find_damage(db: sqlite3.Connection, patience: float) -> str | None:
    """Return what is wrong with the pages, as far as there was time to check."""
    deadline = time.monotonic() + patience
    db.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
    try:
        (found,) = db.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if "interrupted" not in str(error):
            raise
        return None
    finally:
        db.set_progress_handler(None, 0)
    return None if found == "ok" else str(found)
