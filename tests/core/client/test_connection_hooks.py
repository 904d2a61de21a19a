from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from support.servers.http import TinyServer, http_response, tiny_server

from airflow_provider_toggl.core.client.connection_hooks import AnnouncingAdapter, watched


@pytest.fixture
def server() -> Iterator[TinyServer]:
    with tiny_server() as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.mount("http://", AnnouncingAdapter())
        made.mount("https://", AnnouncingAdapter())
        yield made


def test_a_departure_is_announced_before_anything_arrives(server: TinyServer, session: requests.Session) -> None:
    arrived: list[int] = []
    with watched(lambda: arrived.append(len(server.asked))) as departure:
        session.post(server.url, data=b"x" * 100_000)
    assert arrived == [0]
    assert departure.has_left


def test_nothing_leaves_when_the_announcement_fails(server: TinyServer, session: requests.Session) -> None:
    def refuse() -> None:
        raise LookupError

    with watched(refuse) as departure, pytest.raises(LookupError):
        session.get(server.url)
    assert not departure.has_left
    session.get(server.url)
    assert [asked.method for asked in server.asked] == ["GET"]


def test_a_request_that_nobody_watches_is_sent_all_the_same(server: TinyServer, session: requests.Session) -> None:
    assert session.get(server.url).status_code == 200


def test_a_connection_that_cannot_be_opened_announces_nothing(server: TinyServer, session: requests.Session) -> None:
    with watched(lambda: None) as departure, pytest.raises(requests.exceptions.SSLError):
        session.get(server.url.replace("http://", "https://"))
    assert not departure.has_left


def test_a_request_through_a_proxy_is_announced(server: TinyServer, session: requests.Session) -> None:
    announced: list[None] = []
    with watched(lambda: announced.append(None)):
        session.get("http://toggl.invalid/me", proxies={"http": server.url})
    assert [asked.target for asked in server.asked] == ["http://toggl.invalid/me"]
    assert len(announced) == 1


def test_opening_a_tunnel_is_no_departure(server: TinyServer, session: requests.Session) -> None:
    server.reply = lambda _: http_response(200)
    with watched(lambda: None) as departure, pytest.raises(requests.exceptions.ConnectionError):
        session.get("https://toggl.invalid/me", proxies={"https": server.url})
    assert [asked.method for asked in server.asked] == ["CONNECT"]
    assert not departure.has_left
