from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from support.waiting import until

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.webhooks.connection_cache import ConnectionCache
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection


class Backend:
    """A secrets backend that can fail or hang, and counts its lookups."""

    def __init__(self) -> None:
        self.secret: str | None = "first"
        self.error: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()
        self.asked: list[float] = []
        self.threads: set[str] = set()

    def look_up(self, conn_id: str) -> ReceivingConnection | None:
        self.asked.append(time.monotonic())
        self.threads.add(threading.current_thread().name)
        self.hangs.wait(30)
        if self.error is not None:
            raise self.error
        return ReceivingConnection(conn_id, (self.secret,)) if self.secret else None


def run(scenario: Callable[[ConnectionCache, Backend], Awaitable[None]], **times: float) -> Backend:
    backend = Backend()

    async def main() -> None:
        connections = ConnectionCache(["known"], backend.look_up, **times)
        try:
            await scenario(connections, backend)
        finally:
            backend.hangs.set()
            connections.close()

    asyncio.run(main())
    return backend


def test_it_contains_only_the_allowed_connections() -> None:
    connections = ConnectionCache(["known"], Backend().look_up)
    assert "known" in connections
    assert not any(name in connections for name in ("other", "", "Known"))


def test_a_connection_is_looked_up_once_in_a_thread_and_cached() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        assert connections.find_cached("known") is None
        found = await asyncio.gather(*(connections.get("known") for _ in range(20)))
        assert {one.secrets for one in found} == {("first",)}
        assert connections.find_cached("known") is found[0]

    backend = run(scenario)
    assert len(backend.asked) == 1
    assert threading.main_thread().name not in backend.threads


def test_a_connection_is_looked_up_again_after_its_lifetime() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        await connections.get("known")
        backend.secret = "second"
        await until(lambda: connections.find_cached("known") is None)
        assert (await connections.get("known")).secrets == ("second",)

    run(scenario, lifetime=0.05, pause=0.0)


def test_a_newer_connection_has_the_secrets_set_before_that_moment() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        await connections.get("known")
        backend.secret = "second"
        assert (await connections.get_newer_than(time.monotonic(), "known")).secrets == ("second",)

    run(scenario, pause=0.05)


def test_many_callers_share_few_lookups_with_a_pause_between() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        async def get_newer() -> None:
            await connections.get_newer_than(time.monotonic(), "known")

        for _ in range(5):
            await asyncio.gather(*(get_newer() for _ in range(200)))

    backend = run(scenario, pause=0.1)
    assert 5 <= len(backend.asked) <= 7
    pauses = [later - earlier for earlier, later in zip(backend.asked, backend.asked[1:], strict=False)]
    assert min(pauses) > 0.09


@pytest.mark.parametrize("trouble", ["none", "error"])
def test_a_missing_connection_is_refused_without_a_lookup_for_each_delivery(trouble: str) -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        backend.secret = None
        backend.error = RuntimeError("a secret of the backend") if trouble == "error" else None
        for _ in range(50):
            with pytest.raises(DeliveryRefused, match="does not exist") as refused:
                await connections.get("known")
            assert refused.value.status == 503
            assert "secret of the backend" not in str(refused.value)

    assert len(run(scenario, pause=30.0).asked) == 1


def test_a_connection_is_found_again_after_a_failed_lookup() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        backend.error = RuntimeError()
        with pytest.raises(DeliveryRefused):
            await connections.get("known")
        backend.error = None
        assert (await connections.get("known")).secrets == ("first",)

    run(scenario, pause=0.0)


def test_a_lookup_that_hangs_times_out() -> None:
    async def scenario(connections: ConnectionCache, backend: Backend) -> None:
        backend.hangs.clear()
        begun = time.monotonic()
        with pytest.raises(DeliveryRefused, match="too long"):
            await connections.get("known")
        assert time.monotonic() - begun < 5
        backend.hangs.set()
        assert await connections.get("known")

    run(scenario, timeout=0.1, pause=0.01)
