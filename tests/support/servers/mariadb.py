"""A MariaDB (or MySQL) server of the system, with a data directory and a port of its own.

::

    with running_mariadb() as server:
        warehouse = Warehouse(MysqlEngine(DbApi(server.connect, "%s", "MariaDB"), schema="mine"))
        server.restart()

Tests share a server, and each uses a schema of its own.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mysql.connector
from support.airflow_home import free_port
from support.waiting import wait_until

PASSWORD = "pass'word-of-toggl"
_ELSEWHERE = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/libexec")


def find_mariadb() -> str | None:
    """Return the program of the server; None if it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_ELSEWHERE])
    return shutil.which("mariadbd", path=path) or shutil.which("mysqld", path=path)


class MariadbServer:
    """One server, with a user ``toggl`` who has all rights.

    :param folder: where its data and its log are; must be empty.
    :param options: further ones of its command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        program = find_mariadb()
        if program is None:
            raise RuntimeError("MariaDB for tests is missing: apt-get install mariadb-server.")
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        # As root it needs an unprivileged user; otherwise it runs as the current one.
        self._user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        # Servers that share a folder would remove each other's files.
        self.temporary = folder / "tmp"
        self._make_data()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}"]
        options.append(f"--init-file={self._first}")
        options += [f"--pid-file={self._folder / 'pid'}", "--innodb-buffer-pool-size=64M", f"--user={self._user}"]
        # What a killed server has written is in the system's memory: only a crash of the machine would lose it.
        options += ["--loose-debug-no-sync", "--loose-innodb-flush-method=nosync", "--innodb-doublewrite=OFF"]
        options += [f"--tmpdir={self.temporary}", *self._options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "--no-defaults", f"--datadir={self._data}", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._answers, timeout=60)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it: by SIGTERM orderly, by SIGKILL as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Restart it on the same port."""
        self.stop(how)
        self.start()

    def connect(self, **options: Any) -> Any:
        """Return a connection."""
        return connect(self.port, **options)

    def execute(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with contextlib.closing(self.connect()) as connection, contextlib.closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)

    def log(self) -> str:
        """Return its log."""
        return (self._folder / "log").read_text(errors="replace")

    def _make_data(self) -> None:
        self._data = self._folder / "data"
        for path in (self._data, self.temporary):
            path.mkdir()
        first = self._folder / "first.sql"
        # The server runs this as the administrator, because no user can log in before.
        user = "toggl@'%'"
        first.write_text(
            f'create user if not exists {user} identified by "{PASSWORD}";\n'
            f"grant all on *.* to {user} with grant option;\n"
        )
        if os.geteuid() == 0:
            for path in (self._folder, self._data, self.temporary):
                os.chown(path, *pwd.getpwnam("nobody")[2:4])
            self._folder.chmod(0o755)
        first.chmod(0o644)
        if installer := shutil.which("mariadb-install-db"):
            command = [installer, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
            self._call(*command, f"--datadir={self._data}", f"--user={self._user}")
        else:
            self._call(self._program, "--no-defaults", "--initialize-insecure", f"--datadir={self._data}")
        self._first = first

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"MariaDB ended:\n{self.log()}")
        with contextlib.suppress(mysql.connector.Error):
            self.connect().close()
            return True
        return False

    def _call(self, *command: str) -> None:
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder, env=environment)
        if done.returncode:
            raise RuntimeError(f"{command[0]} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")


def connect(port: int, user: str = "toggl", password: str = PASSWORD, **options: Any) -> Any:
    """Return a connection to a local server, by the driver that Airflow's hook uses."""
    return mysql.connector.connect(host="127.0.0.1", port=port, user=user, password=password, **options)


@contextlib.contextmanager
def running_mariadb(*options: str) -> Iterator[MariadbServer]:
    """Yield a running server, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    try:
        server = MariadbServer(folder, *options)
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGKILL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
