"""A standalone receiver in a process of its own, as ``python -m airflow_provider_toggl receiver`` starts it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import requests
from support.deliveries import HEADER, SECRET, sign
from support.sessions import end_session

# Airflow writes lines of its own before it.
_LISTENING = re.compile(r"^Receiving at http://[^/]+:(\d+)/.*\n", re.MULTILINE)


class ReceiverProcess:
    """Receives below ``url`` within its ``with`` block.

    ::

        with ReceiverProcess(tmp_path, secret="...") as receiver:
            assert receiver.deliver(body).status_code == 200

    :param home: Airflow's home; without an ``event_store_conn_id`` the store is ``home/toggl/events.sqlite``.
    :param secret: of connection ``toggl_default``.
    :param extra: more of its extra.
    :param env: more environment variables, as further connections.
    :param arguments: more for the command.
    :param program: what to run instead of the module, for limits that a process sets itself before.
    """

    def __init__(
        self,
        home: Path,
        *,
        secret: str = SECRET,
        extra: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        program: Sequence[str] = ("-m", "airflow_provider_toggl"),
    ) -> None:
        self.home = home
        self.secret = secret
        fields = {"conn_type": "toggl", "password": "0" * 32, "extra": {"webhook_secret": secret, **(extra or {})}}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.env = kept | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW_CONN_TOGGL_DEFAULT": json.dumps(fields),
            **(env or {}),
        }
        self._command = [sys.executable, *program, "receiver", *arguments]
        self._port = 0
        self._log, self._out = home / "receiver.log", home / "receiver.out"
        self.process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False

    @property
    def url(self) -> str:
        """Where it listens; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def store_path(self) -> Path:
        """The file of the default event store."""
        return self.home / "toggl" / "events.sqlite"

    def address(self, conn_id: str = "toggl_default") -> str:
        """Return where deliveries for a connection go."""
        return f"{self.url}/toggl/webhooks/{conn_id}"

    def __enter__(self) -> ReceiverProcess:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()
        if self.process is not None:
            end_session([self.process], timeout=15)

    def start(self, *, timeout: float = 60) -> None:
        """Start it and wait until it listens.

        :param timeout: in seconds.
        :raises RuntimeError: it ended, or did not get ready in time.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        command = [*self._command, "--port", str(self._port)]
        with self._log.open("ab") as log, self._out.open("wb") as out:
            self.process = subprocess.Popen(command, env=self.env, stdout=out, stderr=log, start_new_session=True)
        deadline = time.monotonic() + timeout
        while (listening := _LISTENING.search(self._out.read_text())) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                end_session([self.process], timeout=0)
                raise RuntimeError(f"The receiver is not ready.\n{self._out.read_text()}\n{self.log()}")
            time.sleep(0.02)
        self._port = int(listening[1])

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        assert self.process is not None
        end_session([self.process], timeout=0)

    def stop(self, *, timeout: float = 15) -> int:
        """Ask it to end and return its exit status.

        :param timeout: seconds after which it is killed.
        """
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text(errors="replace")

    def deliver(
        self,
        body: Any,
        *,
        signature: str | bytes | None = "",
        secret: str | None = None,
        conn_id: str = "toggl_default",
        timeout: float = 30,
    ) -> requests.Response:
        """Send a delivery.

        :param signature: instead of the right one; None sends none.
        :param secret: signs it instead of the connection's.
        :param timeout: in seconds.
        """
        headers: dict[str, Any] = {"Content-Type": "application/json"}
        if signature == "":
            signature = sign(body, secret or self.secret)
        if signature is not None:
            headers[HEADER] = signature
        return self._http.post(self.address(conn_id), data=body, headers=headers, timeout=timeout)

    def memory(self) -> int:
        """Return the bytes of memory that it holds."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def wait_until_log_has(self, text: str, *, timeout: float = 15) -> None:
        """Wait until a text is in the log."""
        deadline = time.monotonic() + timeout
        while text not in self.log():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)
