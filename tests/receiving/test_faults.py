from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.deliveries import HEADER, STARTED_ENTRY, event_body, sign
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverProcess]:
    """One for all tests of this module: starting it takes longer than most of them."""
    with ReceiverProcess(tmp_path_factory.mktemp("receiver")) as running:
        yield running
        assert "Traceback" not in running.log()


def works(receiver: ReceiverProcess, event_id: int) -> bool:
    return receiver.deliver(event_body(event_id)).status_code == 200


def stored(receiver: ReceiverProcess) -> list[bytes]:
    with SqliteEventStore(receiver.store_path) as store:
        return [one.event.body for one in store.read(0, 1_000_000)]


@contextmanager
def connected(receiver: ReceiverProcess) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(receiver.url.rpartition(":")[2])), timeout=30) as client:
        yield client


def head(length: int | None, body: bytes = b"") -> bytes:
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return (
        f"POST /toggl/webhooks/toggl_default HTTP/1.1\r\nHost: x\r\n{HEADER}: {sign(body)}\r\n{framing}\r\n\r\n"
    ).encode()


def status_of(client: socket.socket) -> int:
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = client.recv(65536)
        if not piece:
            break
        answer += piece
    return int(answer.split()[1]) if answer else 0


def test_a_chunked_body_over_the_limit_is_refused_while_it_is_sent(receiver: ReceiverProcess) -> None:
    with connected(receiver) as client:
        client.sendall(head(None))
        for _ in range(17):
            client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert status_of(client) == 413


def test_an_incomplete_body_is_not_stored(receiver: ReceiverProcess) -> None:
    body = event_body(1002)
    with connected(receiver) as client:
        client.sendall(head(len(body), body) + body[:-1])
    with connected(receiver) as client:
        client.sendall(head(len(body), body[:-1]) + body[:-1])
        client.shutdown(socket.SHUT_WR)
        assert status_of(client) in (0, 400)
    assert works(receiver, 1003)
    assert body[:-1] not in stored(receiver)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST /toggl/webhooks/toggl_default HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /toggl/webhooks/toggl_default HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /toggl/webhooks/\xff\xfe HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /toggl/webhooks/%ff%00 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /toggl/webhooks/toggl_default HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
        b"POST * HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /toggl/webhooks/toggl_default HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=lambda request_bytes: ascii(request_bytes[:60]),
)
def test_a_malformed_request_is_4xx_or_unanswered(receiver: ReceiverProcess, request_bytes: bytes) -> None:
    with connected(receiver) as client:
        client.sendall(request_bytes)
        client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert status_of(client) in (0, 400, 401, 404, 405)
    assert works(receiver, 1004)


def test_a_full_disk_is_503_and_loses_nothing_that_was_acknowledged(receiver: ReceiverProcess) -> None:
    acknowledged = {event_id for event_id in range(3000, 3020) if works(receiver, event_id)}
    assert receiver.process is not None
    pid = receiver.process.pid
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    # As a full disk is: nothing can be made larger. The log of the process is another file, and small.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (max(20_000, _size(receiver.store_path, "-wal")), most))
    statuses = []
    for event_id in range(3020, 3400):
        statuses.append(receiver.deliver(event_body(event_id)).status_code)
        if statuses[-1] == 200:
            acknowledged.add(event_id)
        if statuses.count(503) == 3:
            break
    assert set(statuses) <= {200, 503}
    assert 503 in statuses
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
    wait_until(lambda: works(receiver, 3999), timeout=30)
    with SqliteEventStore(receiver.store_path) as store:
        assert acknowledged <= {one.event.event_id for one in store.read(0, 1_000_000)}


def _size(path: Path, suffix: str) -> int:
    return path.with_name(path.name + suffix).stat().st_size


def test_many_large_bodies_are_refused_and_hold_little_memory(receiver: ReceiverProcess) -> None:
    assert works(receiver, 4000)
    before = receiver.memory()
    clients = []
    try:
        for _ in range(150):
            client = socket.create_connection(("127.0.0.1", int(receiver.url.rpartition(":")[2])), timeout=30)
            clients.append(client)
            client.sendall(head(1_000_000))
            client.setblocking(False)
            _send_what_is_taken(client, 999_999)
        wait_until(lambda: receiver.deliver(STARTED_ENTRY).status_code in (200, 503), timeout=30)
        assert receiver.memory() - before < 200_000_000
    finally:
        for client in clients:
            client.close()
    wait_until(lambda: works(receiver, 4001), timeout=30)


def _send_what_is_taken(client: socket.socket, size: int) -> None:
    """Send so many bytes, or as many as the receiver takes within half a second."""
    left = size
    deadline = time.monotonic() + 0.5
    while left and time.monotonic() < deadline:
        try:
            left -= client.send(b"x" * min(left, 65536))
        except BlockingIOError:
            time.sleep(0.001)
        except (ConnectionResetError, BrokenPipeError):
            return
