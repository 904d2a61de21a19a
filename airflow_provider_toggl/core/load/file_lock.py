"""One writer at a time among our own processes: an advisory lock on files beside the warehouse.

The operating system gives the lock back when its holder dies, also by ``kill -9``. Files are left where they are:
removing a lock file while others wait for it would give two processes a lock each.
"""

from __future__ import annotations

import fcntl
import getpass
import os
from contextlib import suppress
from pathlib import Path

from airflow_provider_toggl.core.clock import Clock

_FIRST_IN_LINE = 0.01
_FURTHER_BACK = 0.04


class LockTimeout(Exception):
    """The lock was not to be had in time; the text says who holds it."""


class FileLock:
    """An exclusive lock with a waiting line.

    Whoever wants the lock takes the turnstile first and keeps it until it has the lock. So a process that gives the
    lock back and wants it again at once finds the turnstile taken by the next one: nobody starves.

    :param path: the lock file; a second one, with ``.next`` added, is the turnstile.
    :param clock: time, as a seam.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file: int | None = None

    def acquire(self, deadline: float) -> None:
        """Wait for the lock.

        :param deadline: seconds since the epoch, by the clock; at least one try is made.
        :raises LockTimeout: somebody else still has it then.
        :raises OSError: the files cannot be made or opened.
        """
        turnstile = self._take(self._path.with_name(self._path.name + ".next"), deadline, _FURTHER_BACK)
        try:
            self._file = self._take(self._path, deadline, _FIRST_IN_LINE)
            self._write_holder(self._file)
        finally:
            os.close(turnstile)

    def release(self) -> None:
        """Give the lock back; without it, do nothing."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self, path: Path, deadline: float, pause: float) -> int:
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
        # Only a courtesy to those who wait; the file may be another user's.
        with suppress(OSError):
            os.ftruncate(file, 0)
            os.pwrite(file, f"PID {os.getpid()} by user {_user()}".encode(), 0)

    def _read_holder(self) -> str:
        try:
            return self._path.read_text(errors="replace")[:200] or "a process that did not say who it is"
        except OSError:
            return "a process that cannot be told"


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError:
        # Another user of a shared folder made it: locking needs no right to write.
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
