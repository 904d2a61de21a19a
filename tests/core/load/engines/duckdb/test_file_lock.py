from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.load.engines.duckdb.file_lock import FileLock, LockTimeout


def test_a_second_one_waits_until_its_deadline_and_names_the_holder(tmp_path: Path, clock: FakeClock) -> None:
    first, second = (FileLock(tmp_path / "lock", clock) for _ in range(2))
    first.acquire(clock.now())
    start = clock.now()
    with pytest.raises(LockTimeout, match=rf"PID {os.getpid()} by user "):
        second.acquire(start + 30)
    assert clock.now() - start == pytest.approx(30)


def test_one_that_gave_up_waiting_holds_nobody_up(tmp_path: Path, clock: FakeClock) -> None:
    first, second, third = (FileLock(tmp_path / "lock", clock) for _ in range(3))
    first.acquire(clock.now())
    with pytest.raises(LockTimeout):
        second.acquire(clock.now() + 1)
    first.release()
    third.acquire(clock.now())


def test_a_lock_dies_with_its_process(tmp_path: Path, clock: FakeClock) -> None:
    program = f"""
import os, pathlib, signal
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.load.engines.duckdb.file_lock import FileLock
lock = FileLock(pathlib.Path({str(tmp_path / "lock")!r}), SystemClock())
lock.acquire(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == -9
    FileLock(tmp_path / "lock", clock).acquire(clock.now())


def test_the_lock_file_may_be_another_user_s() -> None:
    program = """
import os, pathlib, sys
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.load.engines.duckdb.file_lock import FileLock, LockTimeout
if os.getuid() == 0:
    os.setuid(65534)
try:
    FileLock(pathlib.Path(sys.argv[1]), SystemClock()).acquire(0)
    print("got it")
except LockTimeout as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lock = FileLock(folder / "lock", SystemClock())
        lock.acquire(0)
        folder.chmod(0o777)
        for path in folder.iterdir():
            path.chmod(0o444)
        command = [sys.executable, "-c", program, str(folder / "lock")]
        env = {"PYTHONPATH": ":".join(sys.path)}
        held = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
        lock.release()
        free = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
    assert (held.startswith(f"PID {os.getpid()} by user "), free) == (True, "got it\n")


def test_one_that_wants_it_again_at_once_lets_a_waiting_one_go_first(tmp_path: Path) -> None:
    clock = SystemClock()
    order: list[str] = []
    first, second = (FileLock(tmp_path / "lock", clock) for _ in range(2))
    first.acquire(clock.now())
    gate = tmp_path / "lock.next"

    def wait() -> None:
        second.acquire(clock.now() + 60)
        order.append("waited")
        second.release()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not is_locked(gate):
        clock.sleep(0.001)
    first.release()
    first.acquire(clock.now() + 60)
    order.append("came again")
    first.release()
    waiting.join()
    assert order == ["waited", "came again"]


def is_locked(path: Path) -> bool:
    probe = FileLock(path, SystemClock())
    try:
        file = probe._lock(path, 0, 0)
    except LockTimeout:
        return True
    os.close(file)
    return False
