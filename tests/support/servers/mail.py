"""A mail server that keeps the messages it gets."""

from __future__ import annotations

import email.message
import email.policy
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from support.servers.http import serving


@dataclass
class MailServer:
    """Where it listens, and the messages it got, in order."""

    port: int = 0
    messages: list[email.message.EmailMessage] = field(default_factory=list)

    @property
    def connection(self) -> dict[str, Any]:
        """The fields of an Airflow connection to it."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
        return {"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra}


@contextmanager
def running_mail_server() -> Iterator[MailServer]:
    """Serve in a thread."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.mail = MailServer(server.server_address[1])
        with serving(server):
            yield server.mail


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    mail: MailServer


class _Handler(socketserver.StreamRequestHandler):
    """Speaks as much of RFC 5321 as a client without encryption and password needs."""

    def handle(self) -> None:
        self._say("220 mail")
        for line in self.rfile:
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._say("354 go on")
                parsed = email.message_from_bytes(self._read_message(), policy=email.policy.default)
                message = cast("email.message.EmailMessage", parsed)
                cast("_Server", self.server).mail.messages.append(message)
            self._say("221 bye" if verb == b"QUIT" else "250 ok")

    def _read_message(self) -> bytes:
        lines = iter(self.rfile.readline, b".\r\n")
        return b"".join(line[1:] if line.startswith(b"..") else line for line in lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
