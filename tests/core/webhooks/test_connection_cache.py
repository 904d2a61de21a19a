from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.webhooks import connection_cache
from airflow_provider_toggl.core.webhooks.connection_cache import ConnectionCache
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection

pytestmark = pytest.mark.anyio


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


@asynccontextmanager
async def connected(**times: float) -> AsyncIterator[tuple[ConnectionCache, Backend]]:
    backend = Backend()
    connections = ConnectionCache(["known"], backend.look_up, **times)
    try:
        yield connections, backend
    finally:
        backend.hangs.set()
        connections.close()


def test_it_contains_only_the_allowed_connections() -> None:
    connections = ConnectionCache(["known"], Backend().look_up)
    assert "known" in connections
    assert not any(name in connections for name in ("other", "", "Known"))


async def test_a_connection_is_looked_up_once_in_a_thread_and_cached() -> None:
    async with connected() as (connections, backend):
        found = await asyncio.gather(*(connections.get("known") for _ in range(20)))
        assert {one.secrets for one in found} == {("first",)}
        assert await connections.get("known") is found[0]
    assert len(backend.asked) == 1
    assert threading.main_thread().name not in backend.threads


async def test_a_connection_is_looked_up_again_after_its_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(connection_cache, "time", clock)
    async with connected(lifetime=60.0, pause=0.0) as (connections, backend):
        assert (await connections.get("known")).secrets == ("first",)
        backend.secret = "second"
        for seconds, secret in ((59.9, "first"), (0.1, "second")):
            clock.now += seconds
            assert (await connections.get("known")).secrets == (secret,)


async def test_a_newer_connection_has_the_secrets_set_before_that_moment() -> None:
    async with connected(pause=0.01) as (connections, backend):
        await connections.get("known")
        backend.secret = "second"
        assert (await connections.get_newer_than(time.monotonic(), "known")).secrets == ("second",)


async def test_many_callers_share_few_lookups_with_a_pause_between() -> None:
    async with connected(pause=0.05) as (connections, backend):
        for _ in range(5):
            now = time.monotonic()
            await asyncio.gather(*(connections.get_newer_than(now, "known") for _ in range(200)))
    assert len(backend.asked) == 5
    assert min(later - earlier for earlier, later in itertools.pairwise(backend.asked)) > 0.045


@pytest.mark.parametrize("error", [None, RuntimeError("a secret of the backend")])
async def test_a_missing_connection_is_refused_without_a_lookup_for_each_delivery(error: Exception | None) -> None:
    async with connected(pause=30.0) as (connections, backend):
        backend.secret, backend.error = None, error
        for _ in range(50):
            with pytest.raises(DeliveryRefused, match="does not exist") as refused:
                await connections.get("known")
            assert refused.value.status == 503
            assert "secret of the backend" not in str(refused.value)
    assert len(backend.asked) == 1


async def test_a_connection_is_found_again_after_a_failed_lookup() -> None:
    async with connected(pause=0.0) as (connections, backend):
        backend.error = RuntimeError()
        with pytest.raises(DeliveryRefused):
            await connections.get("known")
        backend.error = None
        assert (await connections.get("known")).secrets == ("first",)


async def test_a_cached_connection_outlives_a_failed_lookup_but_not_a_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(connection_cache, "time", clock)
    async with connected(lifetime=60.0, pause=0.0) as (connections, backend):
        await connections.get("known")
        backend.error = RuntimeError("down")
        clock.now += 30
        with pytest.raises(DeliveryRefused):
            await connections.get_newer_than(clock.now, "known")
        assert (await connections.get("known")).secrets == ("first",)
        clock.now += 30
        with pytest.raises(DeliveryRefused):
            await connections.get("known")
        backend.error = None
        clock.now += 1
        await connections.get_newer_than(clock.now, "known")
        backend.secret = None
        clock.now += 1
        for call in (connections.get_newer_than(clock.now, "known"), connections.get("known")):
            with pytest.raises(DeliveryRefused):
                await call


async def test_a_lookup_that_hangs_times_out() -> None:
    async with connected(timeout=0.05, pause=0.01) as (connections, backend):
        backend.hangs.clear()
        with pytest.raises(DeliveryRefused, match="too long"):
            await connections.get("known")
        backend.hangs.set()
        assert await connections.get("known")
