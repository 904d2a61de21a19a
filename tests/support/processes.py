"""End processes with all that they started.

Airflow's components start others, some of which make process groups of their own and outlive their parent. All stay in
the session that the component was started in (``start_new_session=True``), so it is the session that is ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable

import psutil


def end_session(leaders: Iterable[subprocess.Popen[bytes]], *, timeout: float) -> None:
    """Terminate all processes of the sessions, wait, and kill the rest.

    All of them and not only the leaders, because a scheduler waits for its workers for ever.

    :param leaders: processes started with ``start_new_session=True``.
    :param timeout: in seconds; 0 kills at once.
    """
    leaders = list(leaders)
    sessions = {leader.pid for leader in leaders}
    if timeout > 0:
        _signal(sessions, signal.SIGTERM)
        _await_end(leaders, sessions, timeout)
    _signal(sessions, signal.SIGKILL)
    for leader in leaders:
        leader.wait()


def session_members(sessions: Iterable[int]) -> list[int]:
    """Return the processes of the sessions, without zombies."""
    wanted = set(sessions)
    return [pid for pid in psutil.pids() if _session(pid) in wanted and _is_alive(pid)]


def _await_end(leaders: list[subprocess.Popen[bytes]], sessions: set[int], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for leader in leaders:
            leader.poll()
        if not session_members(sessions):
            return
        time.sleep(0.1)


def _signal(sessions: set[int], number: signal.Signals) -> None:
    for pid in session_members(sessions):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
