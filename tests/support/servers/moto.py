"""moto's server: S3 and Glue without Amazon. It keeps everything in memory and grants every right."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator

import requests
from support.airflow_home import free_port
from support.waiting import wait_until

BUCKET = "toggl"
KEYS = {"access-key-id": "a-key", "secret-access-key": "a-secret-key", "region": "us-east-1"}


def is_installed() -> bool:
    """Return whether moto and its server are installed."""
    return all(importlib.util.find_spec(name) for name in ("moto", "flask"))


class MotoServer:
    """A server with an empty bucket."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._is_ready, timeout=60)
        requests.put(f"{self.url}/{BUCKET}", timeout=10).raise_for_status()

    def properties(self, folder: str) -> dict[str, str]:
        """Return pyiceberg's properties of a folder in the bucket."""
        keys = {f"{service}.{name}": value for service in ("s3", "glue") for name, value in KEYS.items()}
        return {**keys, "s3.endpoint": self.url, "glue.endpoint": self.url, "warehouse": f"s3://{BUCKET}/{folder}"}

    def stop(self) -> None:
        """End the server, and all that it keeps."""
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/moto-api/", timeout=5).ok
        return False


@contextlib.contextmanager
def running_moto() -> Iterator[MotoServer]:
    """Yield a running server."""
    server = MotoServer()
    try:
        yield server
    finally:
        server.stop()
