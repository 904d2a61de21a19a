from __future__ import annotations

from pathlib import Path

import pytest
from support.deliveries import SECRET, STARTED_ENTRY, event_body, send_request, sign
from support.event_stores import open_sqlite
from support.servers.receivers import InProcessReceiver, send_lifespan

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> InProcessReceiver:
    return InProcessReceiver(tmp_path / "events.sqlite")


@pytest.mark.parametrize(
    ("path", "root_path"),
    [
        ("/toggl/webhooks/toggl_default", ""),
        ("/webhooks/toggl_default", ""),
        ("/toggl/webhooks/toggl_default", "/toggl"),
        ("/webhooks/toggl_default", "/toggl"),
        ("/airflow/toggl/webhooks/toggl_default", "/airflow/toggl"),
        ("/airflow/toggl/webhooks/toggl_default", "/airflow"),
    ],
)
def test_it_serves_standalone_and_mounted_below_any_path(bench: InProcessReceiver, path: str, root_path: str) -> None:
    assert bench.ask(STARTED_ENTRY, signature=sign(STARTED_ENTRY), path=path, root_path=root_path).status == 200


async def test_without_connections_every_path_is_404(tmp_path: Path) -> None:
    receiver = Receiver([], lambda conn_id: None, lambda store: open_sqlite(tmp_path / "x.sqlite"))
    assert (await send_request(receiver, STARTED_ENTRY, signature=sign(STARTED_ENTRY))).status == 404


async def test_each_connection_can_have_its_own_store(tmp_path: Path) -> None:
    def look_up(conn_id: str) -> ReceivingConnection:
        return ReceivingConnection(conn_id, (SECRET,), store=f"{conn_id}.sqlite")

    receiver = Receiver(["one", "two"], look_up, lambda name: open_sqlite(tmp_path / name))
    for conn_id in ("one", "two"):
        answered = await send_request(
            receiver, STARTED_ENTRY, signature=sign(STARTED_ENTRY), path=f"/webhooks/{conn_id}"
        )
        assert answered.status == 200
    await receiver.close()
    for conn_id in ("one", "two"):
        with SqliteEventStore(tmp_path / f"{conn_id}.sqlite") as store:
            assert [one.event.conn_id for one in store.read(0)] == [conn_id]


async def test_lifespan_events_are_answered(bench: InProcessReceiver) -> None:
    answered = await send_lifespan(bench.receiver, "lifespan.startup", "lifespan.shutdown")
    assert answered == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_it_serves_several_event_loops_one_after_another(bench: InProcessReceiver) -> None:
    for number in range(1, 4):
        body = event_body(number)
        assert bench.ask(body, signature=sign(body)).status == 200
    assert len(bench.stored()) == 3
