from __future__ import annotations

import asyncio
import logging
import random
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.connections import all_logs
from support.deliveries import (
    CODE,
    HEADER,
    PREVIOUS_SECRET,
    PUBLISHED_PING,
    PUBLISHED_SIGNATURE,
    SECRET,
    STARTED_ENTRY,
    VALIDATION_PING,
    AsgiResponse,
    event_body,
    send_request,
    sign,
)
from support.event_stores import open_sqlite
from support.malformed_deliveries import Delivery, is_event, mutate_delivery
from support.servers.receivers import InProcessReceiver
from support.waiting import until

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection, last_ping_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def bench(tmp_path: Path) -> InProcessReceiver:
    return InProcessReceiver(tmp_path / "events.sqlite")


def unavailable() -> SqliteEventStore:
    raise EventStoreUnavailable("down")


async def test_a_signed_event_is_stored_before_it_is_answered(bench: InProcessReceiver) -> None:
    async with bench:
        answered = await bench.post(STARTED_ENTRY)
        assert [one.event.body for one in bench.stored()] == [STARTED_ENTRY]
    assert answered.status == 200
    assert answered.headers["content-type"] == "application/json"


def test_a_duplicate_gets_the_response_of_the_first(bench: InProcessReceiver) -> None:
    body = event_body(7)
    again = body.replace(b'"timestamp":"2', b'"timestamp":"1')
    first, same = bench.ask(body, signature=sign(body)), bench.ask(body, signature=sign(body))
    assert first == same == bench.ask(again, signature=sign(again))
    assert len(bench.stored()) == 1


def test_a_ping_without_a_code_is_answered_without_one(bench: InProcessReceiver) -> None:
    answered = bench.ask(PUBLISHED_PING, signature=PUBLISHED_SIGNATURE)
    assert (answered.status, answered.json(), bench.stored()) == (200, {"received": True}, [])


@pytest.mark.parametrize(("body", "subscription_id"), [(PUBLISHED_PING, 6), (VALIDATION_PING, 10710)])
def test_only_a_signed_ping_is_recorded(bench: InProcessReceiver, body: bytes, subscription_id: int) -> None:
    name = last_ping_key("toggl_default", subscription_id)
    with SqliteEventStore(bench.path) as store:
        store.prepare()
        assert bench.ask(body, signature=sign(body, "another")).status == 401
        assert store.activity_log.find_status(name) is None
        assert bench.ask(body, signature=sign(body)).status == 200
        assert store.activity_log.find_status(name) is not None


@pytest.mark.parametrize(
    ("body", "answer"), [(PUBLISHED_PING, {"received": True}), (VALIDATION_PING, {"validation_code": CODE})]
)
def test_a_ping_is_answered_when_it_cannot_be_recorded(bench: InProcessReceiver, body: bytes, answer: Any) -> None:
    bench.open_store = unavailable
    answered = bench.ask(body, signature=sign(body))
    assert (answered.status, answered.json()) == (200, answer)


def test_a_validation_code_is_returned_and_stored(bench: InProcessReceiver) -> None:
    answered = bench.ask(VALIDATION_PING, signature=sign(VALIDATION_PING))
    assert (answered.status, answered.json()) == (200, {"validation_code": CODE})
    assert bench.stored() == []
    with SqliteEventStore(bench.path) as store:
        handshake = store.find_handshake(10710)
    assert handshake is not None
    assert (handshake.validation_code, handshake.conn_id) == (CODE, "toggl_default")


@pytest.mark.parametrize("signature", [None, sign(VALIDATION_PING, "another"), "sha256=nothing"])
def test_a_validation_code_is_returned_only_to_a_signed_ping(bench: InProcessReceiver, signature: str | None) -> None:
    answered = bench.ask(VALIDATION_PING, signature=signature)
    assert answered.status in (400, 401)
    assert CODE.encode() not in answered.body


def test_with_asynchronous_validation_the_code_is_stored_and_not_returned(bench: InProcessReceiver) -> None:
    bench.connections["toggl_default"] = ReceivingConnection("toggl_default", (SECRET,), echo_validation=False)
    answered = bench.ask(VALIDATION_PING, signature=sign(VALIDATION_PING))
    assert answered.status == 200
    assert CODE.encode() not in answered.body
    with SqliteEventStore(bench.path) as store:
        assert store.find_handshake(10710) is not None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/toggl/webhooks/",
        "/toggl/webhooks/other",
        "/toggl/webhooks/toggl_default/x",
        "/toggl/webhooks/Toggl_default",
        "/webhooks/toggl_default\x00",
    ],
)
def test_another_path_is_404_without_a_lookup(bench: InProcessReceiver, path: str) -> None:
    assert bench.ask(STARTED_ENTRY, signature=sign(STARTED_ENTRY), path=path).status == 404
    assert bench.looked_up == bench.opened == []


def test_a_connection_that_was_removed_is_503(bench: InProcessReceiver) -> None:
    answered = bench.ask(STARTED_ENTRY, signature=sign(STARTED_ENTRY), path="/toggl/webhooks/removed")
    assert answered.status == 503
    assert int(answered.headers["retry-after"]) > 0


def test_only_post_is_allowed(bench: InProcessReceiver) -> None:
    answered = bench.ask(STARTED_ENTRY, signature=sign(STARTED_ENTRY), method="PUT")
    assert (answered.status, answered.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 401),
        ({"signature": sign(STARTED_ENTRY, "another")}, 401),
        ({"signature": sign(STARTED_ENTRY + b" ")}, 401),
        ({"signature": ("sha256=" + "é" * 64).encode()}, 400),
        ({"signature": sign(STARTED_ENTRY), "headers": [(HEADER.lower().encode(), b"")]}, 400),
        ({"signature": sign(STARTED_ENTRY), "headers": [(b"content-length", b"many")]}, 400),
        ({"signature": sign(STARTED_ENTRY), "headers": [(b"content-length", b"9999999")]}, 413),
    ],
    ids=["no signature", "wrong", "of other bytes", "not ASCII", "two", "no length", "too long"],
)
def test_a_refused_delivery_is_not_stored_but_its_reason_is(
    bench: InProcessReceiver, options: dict[str, Any], status: int
) -> None:
    answered = bench.ask(STARTED_ENTRY, **options)
    assert answered.status == status
    assert set(answered.json()) == {"refused"}
    assert bench.stored() == []
    with open_sqlite(bench.path) as store:
        (kept,) = store.activity_log.list_refusals("toggl_default")
    assert (kept.refused.outcome, kept.refused.times) == (answered.json()["refused"], 1)


async def test_outcomes_are_stored_after_a_period(tmp_path: Path) -> None:
    expected = {"received/toggl_default/stored": 1, "received/toggl_default/duplicate": 1}

    def samples() -> dict[str, float]:
        with open_sqlite(bench.path) as store:
            found = store.activity_log.list_measurements("received/", datetime(2020, 1, 1, tzinfo=timezone.utc))
        return {sample.name: sample.value for sample in found}

    async with InProcessReceiver(tmp_path / "events.sqlite", outcome_period=0.01) as bench:
        for _ in range(2):
            await bench.post(STARTED_ENTRY)
        await until(lambda: samples() == expected)


async def status_of(bench: InProcessReceiver, error: Exception, *headers: tuple[bytes, bytes]) -> int:
    """Return how a request is answered whose body cannot be read."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        raise error

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": "/webhooks/toggl_default", "headers": headers}
    await bench.receiver(scope, receive, send)
    return statuses[0]


async def test_the_body_of_an_unsigned_delivery_is_not_read(bench: InProcessReceiver) -> None:
    assert await status_of(bench, AssertionError("the body was asked for")) == 401


def test_a_body_in_chunks_is_verified_as_a_whole(bench: InProcessReceiver) -> None:
    pieces = [STARTED_ENTRY[:10], STARTED_ENTRY[10:11], STARTED_ENTRY[11:]]
    assert bench.ask(pieces, signature=sign(STARTED_ENTRY)).status == 200


def test_a_sender_that_disconnects_is_not_answered(bench: InProcessReceiver) -> None:
    assert bench.ask(STARTED_ENTRY[:100], signature=sign(STARTED_ENTRY), cut=True).status == 0
    assert bench.stored() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"event_id": 0},
        {"payload": [1, 2]},
        {"metadata": {"model": "unheard_of", "action": "exploded"}},
        {"timestamp": "2001-01-01T00:00:00Z"},
        {"payload": {"id": 1, "workspace_id": 42}},
    ],
    ids=str,
)
def test_a_signed_event_with_unusual_values_is_stored(bench: InProcessReceiver, changes: dict[str, Any]) -> None:
    body = event_body(9, **changes)
    assert bench.ask(body, signature=sign(body)).status == 200
    (stored,) = bench.stored()
    assert stored.event.body == body
    assert stored.event.anomaly


async def test_a_new_secret_is_accepted_at_once_although_the_connection_is_cached(bench: InProcessReceiver) -> None:
    async with bench:
        assert (await bench.post(STARTED_ENTRY)).status == 200
        bench.connections["toggl_default"] = ReceivingConnection("toggl_default", ("brand-new", SECRET))
        assert (await bench.post(event_body(2), "brand-new")).status == 200
        assert (await bench.post(event_body(3), "another")).status == 401


async def test_many_wrong_signatures_cause_few_lookups_and_do_not_block_right_ones(tmp_path: Path) -> None:
    async with InProcessReceiver(tmp_path / "events.sqlite", lookup_pause=0.2) as bench:
        flood = asyncio.gather(*(bench.post(STARTED_ENTRY, "another") for _ in range(500)))
        for number in range(50):
            assert (await bench.post(event_body(100 + number))).status == 200
        assert {answered.status for answered in await flood} == {401}
    assert len(bench.looked_up) <= 4


async def test_bodies_with_wrong_signatures_have_a_memory_limit(tmp_path: Path) -> None:
    limits = {"lookup_pause": 0.1, "max_unverified_bytes": 100_000}
    async with InProcessReceiver(tmp_path / "events.sqlite", **limits) as bench:
        await bench.post(b"x" * 10_000, "another")
        answers = await asyncio.gather(*(bench.post(b"x" * 10_000, "another") for _ in range(30)))
    statuses = [answered.status for answered in answers]
    assert (statuses.count(401), statuses.count(503)) == (10, 20)


async def test_a_store_that_is_down_is_503_and_opened_again(bench: InProcessReceiver) -> None:
    working, bench.open_store = bench.open_store, unavailable
    async with bench:
        answered = await bench.post(STARTED_ENTRY)
        assert answered.status == 503
        assert int(answered.headers["retry-after"]) > 0
        bench.open_store = working
        assert (await bench.post(STARTED_ENTRY)).status == 200


def test_an_unexpected_error_of_the_store_is_503_without_its_text(bench: InProcessReceiver) -> None:
    def fail() -> SqliteEventStore:
        raise ZeroDivisionError("a private text")

    bench.open_store = fail
    with all_logs() as lines:
        answered = bench.ask(STARTED_ENTRY, signature=sign(STARTED_ENTRY))
    assert answered.status == 503
    assert b"private" not in answered.body
    assert any("ZeroDivisionError" in line for line in lines)


async def test_an_unexpected_error_of_the_handler_is_503(bench: InProcessReceiver) -> None:
    assert await status_of(bench, ZeroDivisionError(), (HEADER.lower().encode(), sign(b"").encode())) == 503


def test_the_health_path_is_answered_without_a_lookup(bench: InProcessReceiver) -> None:
    answered = bench.ask(path="/toggl/health", method="GET")
    assert (answered.status, answered.json()) == (200, {"status": "ok"})
    assert bench.looked_up == []


async def test_outcomes_are_logged_in_one_line_without_secrets_and_payloads(
    bench: InProcessReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), all_logs() as lines:
        async with bench:
            for body in (STARTED_ENTRY, STARTED_ENTRY, VALIDATION_PING, b"{"):
                await bench.post(body)
            for _ in range(100):
                await send_request(bench.receiver, STARTED_ENTRY)
            await bench.post(STARTED_ENTRY, "another")
            await send_request(bench.receiver, path="/toggl/webhooks/\nother")
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    counted = ("1 stored", "1 duplicate", "1 ping", "100 unsigned", "1 malformed", "1 unknown_connection")
    assert [words for words in counted if words not in line] == []
    text = "\n".join(lines)
    assert not [word for word in (SECRET, PREVIOUS_SECRET, CODE, "TrackExtension", sign(STARTED_ENTRY)) if word in text]
    assert "\nother" not in text


async def test_no_mutated_delivery_causes_a_5xx_and_no_unsigned_byte_is_stored(bench: InProcessReceiver) -> None:
    chance, name = random.Random(20260310), HEADER.lower().encode()
    deliveries = [mutate_delivery(chance) for _ in range(3_000)]

    async def send(one: Delivery) -> AsgiResponse:
        return await send_request(bench.receiver, one.body, headers=[(name, value) for value in one.signatures])

    answers: list[AsgiResponse] = []
    async with bench:
        for start in range(0, len(deliveries), 200):
            answers += await asyncio.gather(*map(send, deliveries[start : start + 200]))
    assert {answered.status for answered in answers} <= {200, 400, 401}
    for one, answered in zip(deliveries, answers, strict=True):
        assert one.signed or answered.status in (400, 401), one
        if one.signed and is_event(one.body):
            assert answered.status == 200 or one.body.count(b"[") + one.body.count(b"{") > 60
    signed = {one.body for one in deliveries if one.signed}
    stored = [one.event.body for one in bench.stored()]
    assert len(stored) > 150
    assert set(stored) <= signed
    unsigned_only = {one.body for one in deliveries if not one.signed} - signed
    assert unsigned_only
    assert not unsigned_only & set(stored)
