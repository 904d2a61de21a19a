from __future__ import annotations

import base64
import json
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.http_servers import Asked, TinyServer, http_answer, tiny_server

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client import transport as transports
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import (
    DEFAULT_BASE_URL,
    MAX_REDIRECTS,
    NotSent,
    OutgoingRequest,
    RequestsTransport,
    check_base_url,
)
from airflow_provider_toggl.core.errors import ConfigurationError, ConnectionTrouble, TogglError
from airflow_provider_toggl.sandbox.server import free_port, start_sandbox

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


def send(
    base_url: str,
    method: str = "GET",
    path: str = PATH,
    *,
    departing: Callable[[], None] = lambda: None,
    **parts: object,
) -> TogglResponse:
    transport = RequestsTransport(base_url, TOKEN)
    try:
        return transport.send(OutgoingRequest(method, path, **parts), departing)  # type: ignore[arg-type]
    finally:
        transport.close()


def test_the_token_is_the_user_and_the_password_says_so(server: TinyServer) -> None:
    send(server.url)
    kind, _, value = server.asked[0].headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(value).decode()) == ("Basic", f"{TOKEN}:api_token")


@pytest.mark.parametrize(("method", "payload"), [("GET", None), ("DELETE", None), ("POST", {"a": 1}), ("PATCH", [])])
def test_every_request_speaks_json_and_says_who_asks(server: TinyServer, method: str, payload: object) -> None:
    send(server.url, method, payload=payload)
    headers = server.asked[0].headers
    assert headers.get_all("content-type") == ["application/json"]
    assert headers["accept"] == "application/json"
    assert headers["user-agent"].startswith(f"airflow-provider-toggl/{__version__} (python ")


def test_what_is_asked_arrives_as_it_is(server: TinyServer) -> None:
    payload = {"name": "Größe 😀", "ids": [2**53]}
    send(server.url, "POST", "/api/v9/x", params={"since": 5, "active": "both"}, payload=payload)
    asked = server.asked[0]
    assert (asked.method, asked.target) == ("POST", "/api/v9/x?since=5&active=both")
    assert json.loads(asked.body) == payload


def test_an_answer_is_read_to_its_end_with_lower_case_header_names(server: TinyServer) -> None:
    server.reply = lambda _: http_answer(402, b"x" * 300_000, X_Toggl_Quota_Remaining="7")
    answer = send(server.url)
    assert (answer.status, len(answer.body), answer.header_int("x-toggl-quota-remaining")) == (402, 300_000, 7)
    assert (answer.method, answer.path) == ("GET", PATH)


def test_a_path_below_the_base_url_s_own_is_kept(server: TinyServer) -> None:
    send(server.url + "/proxy")
    assert server.asked[0].target == "/proxy" + PATH


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(server: TinyServer, status: int) -> None:
    with tiny_server() as other:
        server.reply = lambda _: http_answer(status, location=other.url + PATH)
        answer = send(server.url)
    assert answer.status == status
    assert other.asked == []


def test_a_redirect_to_the_same_host_in_clear_is_not_followed(server: TinyServer) -> None:
    server.reply = lambda _: http_answer(302, location=f"ftp://127.0.0.1:{server.port}/")
    assert send(server.url).status == 302
    assert len(server.asked) == 1


def moved(status: int, location: str) -> Callable[[Asked], bytes]:
    """Redirect what does not ask for the new place yet."""
    return lambda asked: (
        http_answer(200, b'"there"') if asked.target == "/new?a=1" else http_answer(status, location=location)
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


def test_redirects_that_go_round_end(server: TinyServer) -> None:
    server.reply = lambda _: http_answer(302, location=PATH)
    assert send(server.url).status == 302
    assert len(server.asked) == MAX_REDIRECTS + 1


CUT = {
    "with its length told": http_answer(200, b'[{"id":', content_length="100"),
    "in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40\r\n[{",
    "in its headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "in its headers, with its length told": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\nx-next",
    "before it began": b"",
}


@pytest.mark.parametrize("answer", CUT.values(), ids=CUT)
def test_an_answer_that_is_cut_is_trouble_whose_effect_is_unknown(server: TinyServer, answer: bytes) -> None:
    server.reply = lambda _: answer
    with pytest.raises(ConnectionTrouble) as caught:
        send(server.url)
    assert not isinstance(caught.value, NotSent)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_that_is_meant_to_be_empty_is_whole(server: TinyServer, status: int) -> None:
    server.reply = lambda _: http_answer(status)
    assert send(server.url, "DELETE").body == b""


def test_an_answer_that_ends_with_its_connection_is_whole(server: TinyServer) -> None:
    server.reply = lambda _: b"HTTP/1.0 200 OK\r\n\r\n[1]"
    assert send(server.url).json() == [1]


def test_an_answer_that_does_not_come_in_time_is_trouble_whose_effect_is_unknown(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "TIMEOUTS", (5.0, 0.05))
    over = threading.Event()
    server.reply = lambda _: str(over.wait(30)).encode()
    try:
        with pytest.raises(ConnectionTrouble) as caught:
            send(server.url)
    finally:
        over.set()
    assert not isinstance(caught.value, NotSent)


def unreachable_places(port: int) -> dict[str, str]:
    """Return base URLs that no request can be sent to; somebody who speaks no TLS listens at the port."""
    return {
        "nobody listens": f"http://127.0.0.1:{free_port('127.0.0.1')}",
        "no such name": "http://toggl.invalid",
        "no TLS there": f"https://127.0.0.1:{port}",
    }


@pytest.mark.parametrize("place", unreachable_places(0))
def test_a_request_that_cannot_leave_was_surely_not_sent(server: TinyServer, place: str) -> None:
    departures: list[None] = []
    with pytest.raises(NotSent):
        send(unreachable_places(server.port)[place], "POST", payload={}, departing=lambda: departures.append(None))
    assert departures == []


@pytest.mark.parametrize("place", [*unreachable_places(0), *CUT])
def test_no_error_tells_the_token_or_what_was_asked(server: TinyServer, place: str) -> None:
    server.reply = lambda _: CUT.get(place, b"")
    with pytest.raises(TogglError) as caught:
        send(unreachable_places(server.port).get(place, server.url), params={"q": SECRET_QUERY})
    encoded = base64.b64encode(f"{TOKEN}:api_token".encode()).decode()
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert f"GET {PATH}" in told
    for secret in (TOKEN, encoded, SECRET_QUERY):
        assert secret not in told


def test_a_request_departs_when_its_connection_is_open_and_before_it_arrives(server: TinyServer) -> None:
    asked: list[int] = []
    send(server.url, "POST", payload={"long": "x" * 100_000}, departing=lambda: asked.append(len(server.asked)))
    assert asked == [0]


def test_a_redirected_request_departs_again(server: TinyServer) -> None:
    server.reply = moved(302, "/new?a=1")
    departures: list[None] = []
    send(server.url, departing=lambda: departures.append(None))
    assert len(departures) == 2


def test_the_token_goes_with_no_netrc_of_the_machine(
    server: TinyServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    send(server.url)
    assert base64.b64decode(server.asked[0].headers["authorization"].split()[1]).startswith(TOKEN.encode())


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_address_toggl_s_own_is_meant(nothing: str | None) -> None:
    assert check_base_url(nothing) == DEFAULT_BASE_URL


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://track.example", "https://track.example"),
        ("https://track.example/", "https://track.example"),
        ("https://track.example/toggl/", "https://track.example/toggl"),
        ("track.example", "https://track.example"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://127.0.0.1:8765/", "http://127.0.0.1:8765"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:8765", "http://[::1]:8765"),
    ],
)
def test_an_address_is_taken(url: str, checked: str) -> None:
    assert check_base_url(url) == checked


def test_port_and_scheme_may_stand_apart() -> None:
    assert check_base_url("localhost", port=8765, scheme="http") == "http://localhost:8765"
    assert check_base_url("track.example", port=8443) == "https://track.example:8443"


@pytest.mark.parametrize(
    "url",
    [
        "http://track.example",
        "http://10.0.0.1:8765",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "http://127.example",
        "http://0.0.0.0",
        "ftp://track.example",
        "https://",
        "https://user:secret@track.example",
        f"https://{TOKEN}@track.example",
        "https://track.example?token=secret",
        "https://track.example:port",
        "https://[::1",
    ],
)
def test_an_address_that_cannot_be_or_would_give_the_token_away_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_base_url(url)
    assert "secret" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_network_of_one_s_own_may_go_without_tls() -> None:
    assert check_base_url("http://10.0.0.1:8765", allow_plain_http=True) == "http://10.0.0.1:8765"


WRITTEN: list[tuple[dict[str, object], str]] = [
    ({"url": " https://track.example\n"}, "https://track.example"),
    ({"url": "https://track.example/"}, "https://track.example"),
    ({"url": "https://track.example:8443", "port": 8443}, "https://track.example:8443"),
    ({"url": "https://track.example", "port": 8443}, "https://track.example:8443"),
    ({"url": "http://127.0.0.1", "port": 8765}, "http://127.0.0.1:8765"),
    ({"url": "https://track.example", "port": 0}, "https://track.example"),
    ({"url": None, "port": 443}, DEFAULT_BASE_URL),
    ({"url": "", "port": 0, "scheme": "https"}, DEFAULT_BASE_URL),
    ({"url": "::1", "port": 8765, "scheme": "http"}, "http://[::1]:8765"),
    ({"url": "[::1]:8765", "scheme": "http"}, "http://[::1]:8765"),
    ({"url": "http://[::1]:8765/"}, "http://[::1]:8765"),
    ({"url": "2001:db8::7"}, "https://[2001:db8::7]"),
    ({"url": "[2001:db8::7]:8443"}, "https://[2001:db8::7]:8443"),
    ({"url": "https://api.track.toggl.com/api/v9"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/api/v9/"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/api/v9/me"}, "https://api.track.toggl.com"),
    ({"url": "https://api.track.toggl.com/reports/api/v3"}, "https://api.track.toggl.com"),
    ({"url": "api.track.toggl.com/api/v9"}, "https://api.track.toggl.com"),
    ({"url": "https://gateway.example/toggl/"}, "https://gateway.example/toggl"),
    ({"url": "https://gateway.example/toggl/api/v9/"}, "https://gateway.example/toggl"),
    ({"url": "HTTPS://Track.Example"}, "https://track.example"),
]


@pytest.mark.parametrize(("given", "url"), WRITTEN)
def test_a_base_url_may_be_written_in_many_ways(given: dict[str, object], url: str) -> None:
    assert check_base_url(**given) == url  # type: ignore[arg-type]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"url": "127.0.0.1:8765"}, r"host is '127\.0\.0\.1:8765', without http:// or https://"),
    ({"url": "localhost", "port": 8765}, "without http:// or https://"),
    ({"url": "::1"}, "without http:// or https://"),
    ({"url": "https://a.example:1", "port": 2}, "two ports: 1 in its host and 2 in its port"),
    ({"url": "https://a.example", "port": 70000}, "port is 70000; it must be from 1 to 65535"),
    ({"url": "https://a.example", "port": -1}, "port is -1"),
    ({"url": "https://a.example:0"}, "port is 0"),
    ({"url": "https://a.example:port"}, "host must be a web address"),
    ({"url": None, "port": 8765}, "has port 8765 and no host"),
    ({"url": "a.example", "scheme": "toggl"}, "schema is 'toggl'; it must be https, http or empty"),
    ({"url": "https:/a.example"}, "host must be a web address"),
    ({"url": "https://exa mple.com"}, "host must be a web address"),
    ({"url": "https://exa\nmple.com"}, "host must be a web address"),
    ({"url": "https:\\\\a.example"}, "host must be a web address"),
    ({"url": "https://a..example"}, "host must be a web address"),
    ({"url": "https://[::1"}, "host must be a web address"),
    ({"url": "duckdb:///x"}, "host must be a web address"),
    ({"url": "https://a.example?x=1"}, "no query"),
    ({"url": "https://a.example#x"}, "no query"),
    ({"url": "https://me:secret@a.example"}, "no credentials"),
]


@pytest.mark.parametrize(("given", "words"), REFUSED)
def test_what_cannot_be_a_base_url_is_refused_by_its_field(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        check_base_url(**given)  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


def test_a_server_without_tls_is_a_wrong_host_and_not_a_proxy() -> None:
    with start_sandbox(entries=1, days=1) as sandbox:
        url = sandbox.url.replace("http://", "https://")
        with pytest.raises(ConfigurationError, match="does not answer in TLS: check host and port") as caught:
            send(url)
    assert "proxy" not in str(caught.value)
