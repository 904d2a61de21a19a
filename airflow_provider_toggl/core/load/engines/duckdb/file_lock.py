"""An advisory file lock, so that one process of this package at a time opens a DuckDB file.

The operating system releases the lock when its holder ends, also by ``kill -9``. Lock files are never removed: removing
one while others wait for it would give two processes a lock each.
"""

from __future__ import annotations

import fcntl
import getpass
import os
from contextlib import suppress
from pathlib import Path

from airflow_provider_toggl.core.clock import Clock

_PAUSE_FOR_LOCK = 0.01
_PAUSE_FOR_GATE = 0.04


class LockTimeout(Exception):
    """The lock was not free in time; the text names its holder."""


class FileLock:
    """An exclusive lock with a queue.

    A process first locks a second file, the gate, and keeps it until it has the lock. A process that releases the lock
    and wants it again at once then finds the gate locked by the next one, so that none starves.

    :param path: the lock file; the gate has ``.next`` added to its name.
    :param clock: the clock, replaced in tests.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file: int | None = None

    def acquire(self, deadline: float) -> None:
        """Wait for the lock.

        :param deadline: seconds since the epoch, by the clock; it tries at least once.
        :raises LockTimeout: another process still has it then.
        :raises OSError: the files cannot be created or opened.
        """
        gate = self._lock(self._path.with_name(self._path.name + ".next"), deadline, _PAUSE_FOR_GATE)
        try:
            self._file = self._lock(self._path, deadline, _PAUSE_FOR_LOCK)
            self._write_holder(self._file)
        finally:
            os.close(gate)

    def release(self) -> None:
        """Release the lock; without it, do nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, path: Path, deadline: float, pause: float) -> int:
        file = _open(path)
        try:
            self._wait_for(file, deadline, pause)
        except BaseException:
            os.close(file)
            raise
        return file

    def _wait_for(self, file: int, deadline: float, pause: float) -> None:
        while not _try_lock(file):
            left = deadline - self._clock.now()
            if left <= 0:
                raise LockTimeout(self._read_holder())
            self._clock.sleep(min(pause, left))

    @staticmethod
    def _write_holder(file: int) -> None:
        # Only for the messages of processes that wait; the file may belong to another user.
        with suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"PID {os.getpid()} by user {_user()}".encode(), 0)

    def _read_holder(self) -> str:
        try:
            return self._path.read_text(errors="replace")[:200] or "an unknown process"
        except OSError:
            return "an unknown process"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        # Another user of a shared folder created it: locking needs no right to write.
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        raise


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
