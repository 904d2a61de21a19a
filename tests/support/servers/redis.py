"""A Redis server with a port of its own, for tests that need a broker. It keeps nothing."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator

from support.airflow_home import free_port
from support.waiting import wait_until

PROGRAMS = ("redis-server", "valkey-server")


def find_redis() -> str | None:
    """Return the path of the server's program, None if this machine has none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextlib.contextmanager
def running_redis(address: str = "127.0.0.1") -> Iterator[str]:
    """Yield the URL of a running server.

    :param address: the IP address that it listens on.
    """
    program, port = find_redis(), free_port()
    if program is None:
        raise RuntimeError("Redis is missing: apt-get install redis-server.")
    options = {"bind": address, "port": str(port), "save": "", "appendonly": "no", "protected-mode": "no"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        process = subprocess.Popen(
            [program, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            wait_until(lambda: _answers(process, address, port), timeout=30)
            yield f"redis://{address}:{port}/0"
        finally:
            process.kill()
            process.wait()


def _answers(process: subprocess.Popen[bytes], address: str, port: int) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"Redis ended with status {process.returncode}.")
    try:
        with socket.create_connection((address, port), timeout=5) as client:
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
