from __future__ import annotations

import base64
import json
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from support.servers.http import HttpRequest, TinyServer, http_response, tiny_server
from urllib3 import HTTPConnectionPool
from urllib3.exceptions import MaxRetryError, SSLError

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client import transport as transports
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import MAX_REDIRECTS, NotSent, OutgoingRequest, RequestsTransport
from airflow_provider_toggl.core.errors import ConfigurationError, ConnectionTrouble, TogglError
from airflow_provider_toggl.sandbox.server import start_sandbox

TOKEN = "1971800d4d82861d8f2c1651fea4d212"
SECRET_QUERY = "4242secret4242"
PATH = "/api/v9/me"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with tiny_server() as running:
        yield running


def send(base_url: str, method: str = "GET", path: str = PATH, **parts: object) -> TogglResponse:
    transport = RequestsTransport(base_url, TOKEN)
    try:
        return transport.send(OutgoingRequest(method, path, **parts))  # type: ignore[arg-type]
    finally:
        transport.close()


def test_the_token_is_the_user_of_basic_authentication(server: TinyServer) -> None:
    send(server.url)
    kind, _, value = server.asked[0].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(value).decode()) == ("Basic", f"{TOKEN}:api_token")


@pytest.mark.parametrize(("method", "payload"), [("GET", None), ("DELETE", None), ("POST", {"a": 1}), ("PATCH", [])])
def test_every_request_has_json_headers_and_the_user_agent(server: TinyServer, method: str, payload: object) -> None:
    send(server.url, method, payload=payload)
    headers = server.asked[0].headers
    assert headers.get_all("content-type") == ["application/json"]
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith(f"airflow-provider-toggl/{__version__} (python ")


def test_query_and_body_arrive_unchanged(server: TinyServer) -> None:
    payload = {"name": "Größe 😀", "ids": [2**53]}
    send(server.url, "POST", "/api/v9/x", params={"since": 5, "active": "both"}, payload=payload)
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("POST", "/api/v9/x?since=5&active=both")
    assert json.loads(asked.body) == payload


def test_a_response_is_read_completely_with_lower_case_header_names(server: TinyServer) -> None:
    server.reply = lambda _: http_response(402, b"x" * 300_000, X_Toggl_Quota_Remaining="7")
    answer = send(server.url)
    assert (answer.status, len(answer.body), answer.header_int("x-toggl-quota-remaining")) == (402, 300_000, 7)
    assert (answer.method, answer.path) == ("GET", PATH)


def test_a_path_below_the_base_url_s_own_is_kept(server: TinyServer) -> None:
    send(server.url + "/proxy")
    assert server.asked[0].target == "/proxy" + PATH


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{other}/", "ftp://127.0.0.1:{port}/"])
def test_a_redirect_to_another_host_or_scheme_is_not_followed(server: TinyServer, status: int, target: str) -> None:
    location = target.format(port=server.port, other=server.port + 1)
    server.reply = lambda _: http_response(status, location=location)
    assert send(server.url).status == status
    assert len(server.asked) == 1


def moved(status: int, location: str) -> Callable[[HttpRequest], bytes]:
    """Redirect what does not ask for the new place yet."""
    return lambda asked: (
        http_response(200, b'"there"') if asked.target == "/new?a=1" else http_response(status, location=location)
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_read_follows_a_redirect_to_the_same_host(server: TinyServer, status: int) -> None:
    server.reply = moved(status, "/new?a=1")
    assert send(server.url, params={"old": 1}).json() == "there"
    assert all("authorization" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("status", [307, 308])
def test_a_write_follows_a_redirect_that_keeps_its_body(server: TinyServer, status: int) -> None:
    server.reply = moved(status, server.url + "/new?a=1")
    assert send(server.url, "POST", payload={"a": 1}).json() == "there"
    assert [(asked.method, asked.body) for asked in server.asked] == [("POST", b'{"a": 1}')] * 2


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_write_does_not_follow_a_redirect_that_would_lose_its_body(server: TinyServer, status: int) -> None:
    server.reply = moved(status, "/new?a=1")
    assert send(server.url, "POST", payload={"a": 1}).status == status
    assert len(server.asked) == 1


def test_a_redirect_loop_ends(server: TinyServer) -> None:
    server.reply = lambda _: http_response(302, location=PATH)
    assert send(server.url).status == 302
    assert len(server.asked) == MAX_REDIRECTS + 1


CUT = {
    "with its length": http_response(200, b'[{"id":', content_length="100"),
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n[{",
    "in its headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "in its headers, with its length": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\nx-next",
    "before it began": b"",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_a_response_that_is_cut_is_an_error_with_an_unknown_outcome(server: TinyServer, answer: bytes) -> None:
    server.reply = lambda _: answer
    with pytest.raises(ConnectionTrouble) as caught:
        send(server.url)
    assert not isinstance(caught.value, NotSent)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 204])
def test_a_response_may_be_empty(server: TinyServer, status: int) -> None:
    server.reply = lambda _: http_response(status)
    assert send(server.url, "DELETE").body == b""


def test_a_response_may_end_with_its_connection(server: TinyServer) -> None:
    server.reply = lambda _: b"HTTP/1.0 200 OK\r\n\r\n[1]"
    assert send(server.url).json() == [1]


def test_a_timeout_is_an_error_with_an_unknown_outcome(server: TinyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "TIMEOUTS", (5.0, 0.05))
    over = threading.Event()
    server.reply = lambda _: str(over.wait(30)).encode()
    try:
        with pytest.raises(ConnectionTrouble) as caught:
            send(server.url)
    finally:
        over.set()
    assert not isinstance(caught.value, NotSent)


#: Nobody listens on port 1, and no such name exists.
UNREACHABLE = ("http://127.0.0.1:1", "http://toggl.invalid")


@pytest.mark.parametrize("url", UNREACHABLE)
def test_a_request_without_a_connection_was_not_sent(url: str) -> None:
    with pytest.raises(NotSent):
        send(url, "POST", payload={})


def test_a_request_through_an_unreachable_proxy_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(NotSent):
        send("http://toggl.invalid", "POST", payload={})


def test_a_broken_tls_handshake_is_an_error_with_an_unknown_outcome(server: TinyServer) -> None:
    with pytest.raises(ConnectionTrouble, match="TLS") as caught:
        send(f"https://127.0.0.1:{server.port}", "POST", payload={})
    assert not isinstance(caught.value, NotSent)


def test_a_request_to_a_server_with_an_untrusted_certificate_was_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        cause = ssl.SSLCertVerificationError(1, "self-signed certificate")
        raise requests.exceptions.SSLError(MaxRetryError(HTTPConnectionPool("x"), "/", SSLError(cause)))

    monkeypatch.setattr(requests.Session, "request", refuse)
    with pytest.raises(NotSent, match="not trusted"):
        send("https://track.example", "POST", payload={})


@pytest.mark.parametrize("place", [*UNREACHABLE, *CUT])
def test_no_error_contains_the_token_or_the_query(server: TinyServer, place: str) -> None:
    server.reply = lambda _: CUT.get(place, b"")
    with pytest.raises(TogglError) as caught:
        send(place if place in UNREACHABLE else server.url, params={"q": SECRET_QUERY})
    encoded = base64.b64encode(f"{TOKEN}:api_token".encode()).decode()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert f"GET {PATH}" in shown
    for secret in (TOKEN, encoded, SECRET_QUERY):
        assert secret not in shown


def test_a_netrc_file_does_not_replace_the_token(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    send(server.url)
    assert base64.b64decode(server.asked[0].headers["authorization"].split()[1]).startswith(TOKEN.encode())


def test_a_server_without_tls_is_a_configuration_error() -> None:
    with start_sandbox(entries=1, days=1) as sandbox:
        url = sandbox.url.replace("http://", "https://")
        with pytest.raises(ConfigurationError, match="does not answer in TLS: check host and port") as caught:
            send(url)
    assert "proxy" not in str(caught.value)
