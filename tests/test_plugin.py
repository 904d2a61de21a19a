from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.airflow_home import AirflowHome
from support.connections import Connections
from support.deliveries import CODE, HEADER, SECRET, STARTED_ENTRY, VALIDATION_PING, event_body, send_request, sign

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.plugin import App, LazyApp, TogglPlugin, build_receiver, page_link

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_without_connections_every_request_is_404_and_nothing_is_frozen() -> None:
    assert (
        asyncio.run(send_request(LazyApp(build_receiver), STARTED_ENTRY, signature=sign(STARTED_ENTRY))).status == 404
    )
    assert gc.get_freeze_count() == 0


def test_the_option_is_read_with_the_first_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connections = Connections(monkeypatch, tmp_path)
    app = LazyApp(build_receiver)
    connections.set_option("receiver_connections", "toggl_default")
    connections.set("toggl_default", conn_type="toggl", extra={"webhook_secret": SECRET})
    assert asyncio.run(send_request(app, STARTED_ENTRY, signature=sign(STARTED_ENTRY))).status == 200


@pytest.mark.parametrize(("option", "froze"), [(None, True), ("True", True), ("False", False)])
def test_startup_objects_are_frozen_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str | None, froze: bool
) -> None:
    connections = Connections(monkeypatch, tmp_path)
    connections.set_option("receiver_connections", "toggl_default")
    if option:
        connections.set_option("receiver_freeze_startup_objects", option)
    app = LazyApp(build_receiver)
    assert gc.get_freeze_count() == 0
    counts = []
    for _ in range(2):
        asyncio.run(send_request(app, STARTED_ENTRY))
        counts.append(gc.get_freeze_count())
    assert (counts[0] > 10_000) == froze
    assert counts[1] <= counts[0]


def test_concurrent_first_requests_build_one_application() -> None:
    built = []

    async def app(*_: object) -> None:
        served.append(1)

    def build() -> App:
        built.append(1)
        return app

    async def ask_together() -> None:
        lazy = LazyApp(build)
        await asyncio.gather(*(lazy({}, never, never) for _ in range(5)))

    served: list[int] = []
    asyncio.run(ask_together())
    assert (len(built), len(served)) == (1, 5)


async def never(*_: object) -> dict[str, object]:
    raise AssertionError("nothing is read or sent")


def test_the_receiver_and_the_page_are_separate_applications() -> None:
    assert [app["url_prefix"] for app in TogglPlugin.fastapi_apps] == ["/toggl", "/toggl-page"]
    assert [set(app) for app in TogglPlugin.fastapi_apps] == [{"app", "url_prefix", "name"}] * 2


def test_the_link_has_the_path_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    (view,) = TogglPlugin.external_views
    assert (view["name"], view["destination"], view["href"]) == ("Toggl", "nav", "/toggl-page/")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/airflow/")
    assert page_link() == "/airflow/toggl-page"


@pytest.mark.newest
@pytest.mark.slow
def test_the_api_server_serves_the_receiver_with_several_workers(tmp_path: Path) -> None:
    home = AirflowHome(
        tmp_path / "airflow",
        env={"AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default", "AIRFLOW__API__WORKERS": "2"},
    )
    fields = {"conn_type": "toggl", "extra": {"webhook_secret": SECRET}}
    with home, requests.Session() as http:
        home.set_connection("toggl_default", fields)
        home.start("api-server")
        url = f"{home.url}/toggl/webhooks/toggl_default"
        http.trust_env = False
        assert http.post(url, data=STARTED_ENTRY, timeout=30).status_code == 401
        assert http.post(f"{home.url}/toggl/webhooks/other", data=STARTED_ENTRY, timeout=30).status_code == 404
        ping = http.post(url, data=VALIDATION_PING, headers={HEADER: sign(VALIDATION_PING)}, timeout=30)
        assert (ping.status_code, ping.json()) == (200, {"validation_code": CODE})
        bodies = [event_body(number) for number in range(1, 101)]
        for body in bodies:
            # A connection each, so that both workers get some.
            answered = requests.post(url, data=body, headers={HEADER: sign(body), "Connection": "close"}, timeout=30)
            assert answered.status_code == 200, answered.text
        with SqliteEventStore(home.path / "toggl" / "events.sqlite") as store:
            assert sorted(one.event.body for one in store.read(0)) == sorted(bodies)
        assert json.dumps(fields) not in home.log("api-server")
        assert SECRET not in home.log("api-server")
