"""The rate-limit state that several hosts share in PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import pairwise

import psycopg
import pytest
from support.servers.postgres import PostgresServer, running_postgres

from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import RESPONSE_TIMEOUT, Pace
from airflow_provider_toggl.core.client.limits.postgres_state import PostgresState, build_error
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.token_state import Permit, QuotaSpent, Wait
from airflow_provider_toggl.core.databases import postgres_server
from airflow_provider_toggl.core.errors import DatabaseFault, RateLimitStateError, RateLimitStateUnavailable

LANE = "organization:3"
FAST = Pace(1000.0)


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[PostgresState]:
    opened = PostgresState(postgres.dsn, schema=f"limits_{uuid.uuid4().hex[:8]}")
    yield opened
    opened.close()
    postgres.execute(f"drop schema if exists {opened.schema} cascade")


def grant(state: RateLimitState, now: float, claimant: str | None = None) -> Permit:
    asker = Claimant(claimant) if claimant is not None else None
    while True:
        outcome = state.acquire(LANE, pace=FAST, reserve=0, now=now, claimant=asker)
        if isinstance(outcome, Permit):
            return outcome
        assert isinstance(outcome, Wait)
        time.sleep(outcome.seconds)


@pytest.mark.parametrize("minutes", [-7, 0, 7], ids=["behind", "right", "ahead"])
def test_a_host_whose_clock_is_wrong_sees_each_time_by_its_own_clock(store: PostgresState, minutes: int) -> None:
    right, wrong = RateLimitState(store, "t"), RateLimitState(store, "t")
    off = minutes * 60.0
    right.release(grant(right, time.time()), QuotaReading(0, 100.0), time.time())
    refused = wrong.acquire(LANE, pace=FAST, reserve=0, now=time.time() + off)
    assert isinstance(refused, QuotaSpent)
    assert refused.resets_at == pytest.approx(time.time() + off + 100.5, abs=1.0)
    assert wrong.lane(LANE, time.time() + off).resets_at == pytest.approx(time.time() + off + 100.5, abs=1.0)
    wrong.record_quota("user", Lane(30, 9, time.time() + off + 50), time.time() + off)
    assert right.lane("user", time.time()).resets_at == pytest.approx(time.time() + 50, abs=1.0)
    assert wrong.lanes(time.time() + off)["user"].remaining == 9
    assert wrong.record_quota_refusal("user", 20.0, time.time() + off) == pytest.approx(time.time() + off + 20, abs=1.0)


def test_hosts_with_addresses_of_their_own_have_their_own_pace_and_one_quota(store: PostgresState) -> None:
    one, other, now = RateLimitState(store, "t", scope="a"), RateLimitState(store, "t", scope="b"), time.time()
    one.release(grant(one, now), QuotaReading(2, 100.0), now)
    grant(one, now)
    one.hold_back(60.0, now)
    assert isinstance(one.acquire(LANE, pace=FAST, reserve=0, now=now), Wait)
    grant(other, now)
    assert isinstance(other.acquire(LANE, pace=FAST, reserve=0, now=now), QuotaSpent)


def test_a_process_that_waits_a_second_or_longer_holds_no_connection(
    store: PostgresState, postgres: PostgresServer
) -> None:
    state = RateLimitState(store, "t")
    store.prepare()

    def count_connections() -> int:
        with psycopg.connect(postgres.dsn, autocommit=True) as db:
            query = "select count(*) from pg_stat_activity where application_name = 'airflow-provider-toggl'"
            (count,) = db.execute(query).fetchone() or (0,)
        return int(count)

    before = count_connections()
    slow = Pace(0.5)
    permit = state.acquire(LANE, pace=slow, reserve=0, now=time.time())
    assert isinstance(permit, Permit)
    assert isinstance(RateLimitState(store, "t").acquire(LANE, pace=slow, reserve=0, now=time.time()), Wait)
    assert count_connections() < before or before == 0
    state.release(permit, None, time.time())
    assert count_connections() < before or before == 0


CHILD = """
import json, sys, time
from airflow_provider_toggl.core.client.limits.postgres_state import PostgresState, build_error
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.token_state import Permit
dsn, schema, rate, count = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
state, sent = RateLimitState(PostgresState(dsn, schema=schema), "t"), []
while len(sent) < count:
    outcome = state.acquire("user", pace=Pace(rate), reserve=0, now=time.time() + 300)
    if not isinstance(outcome, Permit):
        time.sleep(outcome.seconds)
        continue
    sent.append(time.time())
    state.release(outcome, None, time.time() - 300)
print(json.dumps(sent))
"""


def test_processes_that_start_at_once_send_at_least_one_interval_apart(
    store: PostgresState, postgres: PostgresServer
) -> None:
    command = [sys.executable, "-c", CHILD, postgres.dsn, store.schema, "20", "6"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        times = sorted(moment for child in started for moment in json.loads(child.communicate(timeout=120)[0]))
    finally:
        for child in started:
            child.kill()
            child.wait()
    assert len(times) == 18
    assert min(b - a for a, b in pairwise(times)) >= 1 / 20


@pytest.mark.xdist_group("postgres-sessions")
def test_while_the_database_is_down_no_permit_is_granted_and_a_response_is_not_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running_postgres() as server:
        store = PostgresState(server.dsn, connect_timeout=2)
        state = RateLimitState(store, "t")
        permit = grant(state, time.time())
        server.stop()
        with pytest.raises(RateLimitStateUnavailable, match=r"(?s)rate-limit state's PostgreSQL.*tried again"):
            state.acquire(LANE, pace=FAST, reserve=0, now=time.time())
        assert state.release(permit, QuotaReading(7, 100.0), time.time()) == Lane()
        assert "were not updated" in caplog.text
        server.start()
        # Nobody knows whether the request was answered, so the next one waits until it must have been.
        outcome = state.acquire(LANE, pace=Pace(0.1), reserve=0, now=time.time())
        assert isinstance(outcome, Wait)
        assert outcome.seconds < RESPONSE_TIMEOUT
        store.close()


def test_a_role_without_rights_is_an_error_that_waiting_does_not_mend(postgres: PostgresServer) -> None:
    postgres.execute("create role poor login")
    try:
        store = PostgresState(f"{postgres.dsn} user=poor", schema="limits_of_others")
        with pytest.raises(RateLimitStateError, match="must own the rate-limit state's schema"):
            store.read("t", 0.0)
        store.close()
    finally:
        postgres.execute("drop role poor")


def test_a_state_that_another_session_keeps_locked_is_waited_for_and_then_reported(
    store: PostgresState, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = RateLimitState(store, "t")
    state.learn_organization(5, 3, time.time())
    store.close_idle()
    monkeypatch.setitem(postgres_server.SESSION_SETTINGS, "lock_timeout", "200")
    with psycopg.connect(postgres.dsn) as db:
        db.execute(f"select * from {store.schema}.token_state for update")
        with pytest.raises(RateLimitStateUnavailable, match=r"busy.*tried again"):
            state.acquire(LANE, pace=FAST, reserve=0, now=time.time())
    grant(state, time.time())


def test_a_database_without_free_connections_lets_tasks_wait() -> None:
    error = build_error("FATAL: sorry, too many clients already", fault=DatabaseFault.TOO_MANY_CONNECTIONS)
    assert isinstance(error, RateLimitStateUnavailable)
