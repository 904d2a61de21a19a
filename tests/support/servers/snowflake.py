"""fakesnow as a server that stands for Snowflake, in a process and an environment of its own.

::

    with running_snowflake() as server:
        warehouse = Warehouse(TableStoreEngine(server.build_store("TOGGL_1")))
        server.fail([{"pattern": "^put", "code": 253003, "message": "the storage is away"}])

Tests share a server, and each uses a schema of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests
from support.airflow_home import free_port
from support.waiting import wait_until

from airflow_provider_toggl.core.load.engines.snowflake.store import SESSION_PARAMETERS, SnowflakeStore

PYTHON = os.environ.get("TOGGL_SNOWFLAKE_PYTHON", sys.executable)
PASSWORD = "pass'word-of-toggl"
DATABASE = "ANALYTICS"
_PROGRAM = Path(__file__).parents[1] / "snowflake_emulator.py"


def is_there() -> bool:
    """Return whether the emulator and the connector are installed."""
    if find_spec("snowflake") is None or find_spec("snowflake.connector") is None:
        return False
    look = (
        "import importlib.util as u, sys; sys.exit(u.find_spec('fakesnow') is None or u.find_spec('uvicorn') is None)"
    )
    return subprocess.run([PYTHON, "-c", look], check=False).returncode == 0


class SnowflakeServer:
    """One emulator.

    :param log: the file of its output.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [PYTHON, str(_PROGRAM), str(self.port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, timeout=60)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, with all that it holds."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def fail(self, faults: list[dict[str, Any]]) -> None:
        """Let statements fail from now on, as ``snowflake_emulator`` describes; none with an empty list."""
        requests.post(f"{self._url}/emulator/faults", json=faults, timeout=10).raise_for_status()

    def statements(self) -> list[str]:
        """Return all statements so far."""
        answer = requests.get(f"{self._url}/emulator/statements", timeout=10)
        found: list[str] = answer.json()
        return found

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self._url}/emulator/statements", timeout=1).ok
        return False


def connect(port: int, schema: str, **options: Any) -> Any:
    """Return a connection to an emulator by Snowflake's own connector."""
    import snowflake.connector

    session = {**SESSION_PARAMETERS, "CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False}
    address = {"account": "emulator", "host": "127.0.0.1", "port": port, "protocol": "http"}
    login = {"user": "toggl", "password": PASSWORD, "database": DATABASE, "schema": schema}
    return snowflake.connector.connect(**address, **login, session_parameters=session, network_timeout=10, **options)


def build_store(port: int, schema: str) -> SnowflakeStore:
    """Return the store of a schema of an emulator."""
    schema = schema.upper()
    return SnowflakeStore(lambda: connect(port, schema), schema, f"Snowflake emulator, schema {schema}")


@contextlib.contextmanager
def running_snowflake(folder: Path) -> Iterator[SnowflakeServer]:
    """Yield an emulator that runs."""
    server = SnowflakeServer(folder / "snowflake.log")
    server.start()
    try:
        yield server
    finally:
        server.stop()
