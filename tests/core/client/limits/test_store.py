"""What every store of rate limits does, and how a state is written."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import QuotaReading
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.state_file import StateFile
from airflow_provider_toggl.core.client.limits.store import HOUR, HourlyUsage, StateStore, decode_state, list_writes
from airflow_provider_toggl.core.client.limits.token_state import Permit, PermitRequest, TokenState, Wait

T = 1_780_000_000.0
LANE = "organization:3"
FAST = Pace(1000.0)
OpenStore = Callable[[], StateStore]


@pytest.fixture(params=["file", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens one place as another process would."""
    if request.param == "file":
        yield lambda: StateFile(tmp_path / "quota.sqlite")
        return
    from airflow_provider_toggl.core.client.limits.postgres_state import PostgresState

    server, schema, opened = request.getfixturevalue("postgres"), f"limits_{uuid.uuid4().hex[:8]}", []

    def open_postgres() -> PostgresState:
        opened.append(PostgresState(server.dsn, schema=schema))
        return opened[-1]

    yield open_postgres
    for store in opened:
        store.close()
    server.execute(f"drop schema if exists {schema} cascade")


def test_what_one_process_records_all_know(open_store: OpenStore) -> None:
    one, other, now = RateLimitState(open_store(), "t"), RateLimitState(open_store(), "t"), time.time()
    permit = one.acquire(LANE, pace=FAST, reserve=0, now=now, claimant=Claimant("load"))
    assert isinstance(permit, Permit)
    assert isinstance(other.acquire(LANE, pace=FAST, reserve=0, now=now), Wait)
    one.release(permit, QuotaReading(7, 100.0), now)
    one.learn_organization(5, 3, now)
    assert other.lane("workspace:5", now).remaining == 7
    assert other.taken(LANE, now) == 1
    assert [(share.lane, share.task, share.taken) for share in other.shares(now)] == [(LANE, "load", 1)]
    assert other.hourly_usage(now) == [HourlyUsage(LANE, int(now // HOUR) * HOUR, 1, None)]
    other.withdraw(Claimant("load"), now)
    assert one.shares(now)[0].wanted == 0
    assert RateLimitState(open_store(), "another").lanes(now) == {}


def test_changes_at_the_same_time_are_all_stored(open_store: OpenStore) -> None:
    def learn(first: int) -> None:
        state = RateLimitState(open_store(), "t")
        for workspace in range(first, first + 20):
            state.learn_organization(workspace, 3, time.time())

    threads = [threading.Thread(target=learn, args=(100 * number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(RateLimitState(open_store(), "t").organizations(time.time())) == 80


def test_an_error_undoes_a_change(open_store: OpenStore) -> None:
    store = open_store()

    def fail(state: TokenState, _: float) -> None:
        state.learn_organization(8, 3)
        raise KeyError

    with pytest.raises(KeyError):
        store.update("t", T, fail)
    assert store.read("t", T)[0].organizations == {}


def test_an_idle_store_is_used_again(open_store: OpenStore) -> None:
    store = open_store()
    store.close_idle()
    RateLimitState(store, "t").learn_organization(8, 3, T)
    store.close_idle()
    assert store.read("t", T)[0].organizations == {8: 3}


def test_a_state_is_the_same_after_it_was_stored() -> None:
    state = TokenState()
    request = PermitRequest("a", Claimant("load", 3), "host-1")
    permit = state.acquire("user", request, pace=Pace(), reserve=2, now=T)
    assert isinstance(permit, Permit)
    assert isinstance(state.acquire("user", PermitRequest("b"), pace=Pace(), reserve=2, now=T), Wait)
    state.release(permit, QuotaReading(7, 100.0), T + 0.2)
    state.learn_organization(5, 3)
    state.hold_back(9.0, T, scope="host-1")
    ((statement, values),) = list_writes("t", state, None, T)
    assert statement == "save_state"
    assert decode_state(values["state"]) == state


def test_fields_of_a_later_version_are_ignored() -> None:
    assert decode_state(b'{"permits": 7, "colour": "red"}') == TokenState(permits=7)


@pytest.mark.parametrize("text", [b"{", b'{"permits": "many"}', b"[]", b"\xff"])
def test_a_state_that_is_not_readable_is_replaced_with_a_warning(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert decode_state(text) == TokenState()
    assert "is damaged and is replaced" in caplog.text


@pytest.mark.parametrize("text", [None, "", b""])
def test_without_a_stored_state_a_new_one_begins(text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert decode_state(text) == TokenState()
    assert caplog.text == ""
