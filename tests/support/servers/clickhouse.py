"""ClickHouse's engine behind HTTP: chDB, the engine as a library, in a process that answers as a server does.

::

    with running_clickhouse() as server:
        client = server.connect()

Statements, types, table engines, deduplication and error codes are ClickHouse's own. Of this module are the HTTP
interface, the one user and the errors that a test orders by :meth:`ClickhouseServer.fail`; there are no replicas, and
one statement runs at a time. As a program (``python -m support.servers.clickhouse``) it is that process.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from support.airflow_home import free_port
from support.waiting import wait_until

USER, PASSWORD = "toggl", "pass'word-of-toggl"
_NO_SETTINGS = {
    "query", "database", "session_id", "query_id", "compress", "decompress", "buffer_size", "wait_end_of_query",
    "client_protocol_version", "default_format", "role", "quota_key", "http_headers_progress_interval_ms",
    "send_progress_in_http_headers", "enable_http_compression", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
_INSERT = re.compile(rb"\s*insert\s+into\b[^\n]*?\bformat\s+(\w+)\s*\n", re.IGNORECASE)


def has_chdb() -> bool:
    """Return whether chDB is installed."""
    return find_spec("chdb") is not None


class ClickhouseServer:
    """One server, with the user ``USER``.

    :param folder: where its data is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.servers.clickhouse", str(self._folder), str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        wait_until(self._answers, timeout=60)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it: by SIGKILL as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def connect(self, **options: Any) -> Any:
        """Return a client."""
        return connect(self.port, **options)

    def fail(self, pattern: str, code: int, text: str, *, after: bool = False) -> None:
        """Answer statements that match a pattern with an error from now on.

        :param pattern: a regular expression, regardless of case.
        :param code: ClickHouse's code, or 0 to cut the connection.
        :param after: carry the statement out before.
        """
        fault = {"pattern": pattern, "code": code, "text": text, "after": after}
        _write(self._folder / "faults.json", [*_read_faults(self._folder), fault])

    def heal(self) -> None:
        """Answer all statements from now on."""
        _write(self._folder / "faults.json", [])

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def connect(port: int, **options: Any) -> Any:
    """Return a client of the server on a port."""
    import clickhouse_connect

    options = {"username": USER, "password": PASSWORD, "autogenerate_session_id": False, **options}
    return clickhouse_connect.get_client(host="127.0.0.1", port=port, **options)


@contextmanager
def running_clickhouse() -> Iterator[ClickhouseServer]:
    """Yield a server that runs."""
    with tempfile.TemporaryDirectory(prefix="clickhouse-", ignore_cleanup_errors=True) as folder:
        server = ClickhouseServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)


def _write(path: Path, value: Any) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(value))
    new.replace(path)


def _read_faults(folder: Path) -> list[dict[str, Any]]:
    path = folder / "faults.json"
    return list(json.loads(path.read_text())) if path.exists() else []


class _Refused(Exception):
    """A statement is answered with an error of ClickHouse."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet: two would wait for each other
    folder: Path
    one_at_a_time = threading.Lock()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._read_chunks()
        address = urlsplit(self.path)
        if address.path == "/ping":
            self._send(200, b"Ok.\n")
            return
        parameters = dict(parse_qsl(address.query, keep_blank_values=True))
        query = parameters.get("query", "").encode()
        try:
            self._check_user()
            with self.one_at_a_time:
                answer = self._run(query + b"\n" + body if query else body, parameters)
            self._send(200, answer)
        except _Refused as refused:
            if not refused.code:
                self.close_connection = True
                self.connection.close()
                return
            status = 403 if refused.code == 516 else 500
            self._send(status, str(refused).encode(), {"X-ClickHouse-Exception-Code": str(refused.code)})

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _check_user(self) -> None:
        wanted = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {wanted}":
            text = "Authentication failed: password is incorrect, or there is no user with such name."
            raise _Refused(516, f"Code: 516. DB::Exception: {text} (AUTHENTICATION_FAILED)")

    def _run(self, statement: bytes, parameters: dict[str, str]) -> bytes:
        from chdb import session

        head = statement[:20_000].decode(errors="replace")
        fault = next((f for f in _read_faults(self.folder) if re.search(f["pattern"], head, re.IGNORECASE)), None)
        if fault and not fault["after"]:
            raise _Refused(fault["code"], f"Code: {fault['code']}. DB::Exception: {fault['text']}")
        connection = session.Session(str(self.folder / "data"))
        try:
            connection.query(f'use "{parameters.get("database", "default")}"')
            for name, value in parameters.items():
                if name not in _NO_SETTINGS and not name.startswith("param_"):
                    connection.query(f"set {name} = '{value}'")
            given = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
            if match := _INSERT.match(statement):
                with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".insert") as file:
                    file.write(statement[match.end() :])
                    file.flush()
                    sql = match.group(0).decode().rstrip()
                    at = sql.lower().rindex("format")
                    connection.query(f"{sql[:at]} from infile '{file.name}' {sql[at:]}")
                answer = b""
            else:
                answer = bytes(connection.query(statement.decode(), "TabSeparated", params=given).bytes())
        except Exception as error:  # noqa: BLE001 - chDB raises several kinds
            code = re.search(r"Code: (\d+)", str(error))
            raise _Refused(int(code.group(1)) if code else 1002, str(error)) from None
        finally:
            connection.close()
        if fault:
            raise _Refused(fault["code"], f"Code: {fault['code']}. DB::Exception: {fault['text']}")
        return answer

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Timezone": "UTC", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(folder: str, port: str) -> None:
    """Serve until the process is ended."""
    from chdb import session

    _Handler.folder = Path(folder)
    kept = session.Session(str(Path(folder) / "data"))  # as long as one is open, the engine keeps running
    kept.query("select 1")
    ThreadingHTTPServer(("127.0.0.1", int(port)), _Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
