from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.servers.http import http_response, tiny_server

from airflow_provider_toggl.sandbox.server import free_port
from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient, PostResult

HEADERS = {"Content-Type": "application/json"}
OPEN = http_response(200, b"{}", connection="keep-alive")


@pytest.fixture
def client() -> Iterator[CallbackClient]:
    client = CallbackClient()
    yield client
    client.close()


@contextmanager
def scripted_server(*connections: list[bytes]) -> Iterator[str]:
    """Answer each connection with these bytes, one piece for each request, and hang up after the last."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for pieces in connections:
                connection, _ = listening.accept()
                with connection:
                    for piece in pieces:
                        if not _read_request(connection):
                            break
                        connection.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        thread.join(timeout=10)
        assert not thread.is_alive()


def _read_request(connection: socket.socket) -> bool:
    read = b""
    while not read.endswith(b"\r\n\r\nbody"):
        piece = connection.recv(65_536)
        if not piece:
            return False
        read += piece
    return True


def post(client: CallbackClient, url: str, timeout: float = 10.0) -> PostResult:
    return client.post(url, b"body", HEADERS, timeout)


def test_path_query_headers_and_body_arrive(client: CallbackClient) -> None:
    with tiny_server() as server:
        posted = post(client, f"{server.url}/a/b?c=d")
        (asked,) = server.asked
    assert (posted.status, posted.body, posted.error, posted.delivered) == (200, b"null", None, True)
    assert (asked.method, asked.target, asked.body) == ("POST", "/a/b?c=d", b"body")
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_counts_as_delivered(client: CallbackClient, status: int) -> None:
    with tiny_server() as server:
        server.reply = lambda _: http_response(status)
        assert post(client, server.url).delivered


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_nothing_else_does_and_redirects_are_not_followed(client: CallbackClient, status: int) -> None:
    with tiny_server() as server:
        server.reply = lambda _: http_response(status, location=f"{server.url}/elsewhere")
        posted = post(client, server.url)
        assert not posted.delivered
        assert posted.error == f"responded with status {status} instead of 2xx"
        assert len(server.asked) == 1


def test_one_connection_serves_for_many(client: CallbackClient) -> None:
    with scripted_server([OPEN] * 5) as url:
        assert [post(client, url).status for _ in range(5)] == [200] * 5


def test_a_kept_connection_that_was_closed_meanwhile_is_no_failure(client: CallbackClient) -> None:
    with scripted_server([OPEN], [OPEN, OPEN], [OPEN]) as url:
        assert [post(client, url).status for _ in range(4)] == [200] * 4


def test_a_new_connection_that_is_closed_without_an_answer_is_one(client: CallbackClient) -> None:
    with scripted_server([b""]) as url:
        posted = post(client, url)
    assert (posted.status, posted.delivered) == (None, False)
    assert posted.error is not None
    assert posted.error.startswith("request failed with error: RemoteDisconnected")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_a_failure(client: CallbackClient, answer: bytes) -> None:
    with scripted_server([answer], [OPEN]) as url:
        first = post(client, url)
        assert first.status is None or first.body == b"short"
        assert post(client, url).status == 200


def test_a_callback_that_does_not_answer_in_time_has_failed(client: CallbackClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        posted = post(client, f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.05)
    assert posted.error == "request failed with error: TimeoutError: timed out"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", 'unsupported protocol scheme ""'),
        ("ftp://127.0.0.1/", 'unsupported protocol scheme "ftp"'),
        ("http:///path", "no Host in request URL"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://127.0.0.1:port/", "nonnumeric port"),
    ],
)
def test_an_address_that_cannot_be_is_a_failure(client: CallbackClient, url: str, message: str) -> None:
    posted = post(client, url)
    assert posted.status is None
    assert message in str(posted.error)


def test_so_is_one_with_a_space_in_it(client: CallbackClient) -> None:
    with tiny_server() as server:
        assert "control characters" in str(post(client, f"{server.url}/a b").error)


def test_a_port_where_nobody_listens_is_a_failure(client: CallbackClient) -> None:
    posted = post(client, f"http://127.0.0.1:{free_port('127.0.0.1')}/")
    assert "Connection refused" in str(posted.error)


def test_no_more_of_an_answer_is_read_than_anybody_needs(client: CallbackClient) -> None:
    with tiny_server() as server:
        server.reply = lambda _: http_response(200, b"x" * 1_000_000)
        assert len(post(client, server.url).body) == 65_536
        assert post(client, server.url).delivered


def test_a_running_post_can_be_aborted(client: CallbackClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        found: list[PostResult] = []
        thread = threading.Thread(target=lambda: found.append(post(client, url, timeout=60)))
        thread.start()
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            client.abort()
            thread.join(timeout=10)
        assert (len(found), found[0].delivered) == (1, False)
        assert "stopping" in str(post(client, url).error)


@pytest.mark.parametrize(
    ("status", "body", "again"),
    [
        (200, b'{"validation_code": "abc"}', True),
        (201, b'{"validation_code": "abc", "more": 1}', True),
        (200, b'{"validation_code": "abd"}', False),
        (200, b"{}", False),
        (200, b"", False),
        (200, b'"abc"', False),
        (200, b"[" * 100_000, False),
        (500, b'{"validation_code": "abc"}', False),
        (302, b'{"validation_code": "abc"}', False),
    ],
)
def test_only_a_2xx_with_the_code_validates(status: int, body: bytes, again: bool) -> None:
    assert PostResult(status, body).echoes("abc") is again
