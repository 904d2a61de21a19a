"""What the activity log of every event store promises, on each engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from support.event_stores import RECEIVED, StoreLocation, new_event
from support.fakes import FakeClock

from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.events.activity_log import (
    MAX_REFUSALS,
    MEASUREMENTS_KEPT_FOR,
    ActivityLog,
    DeliveryCounts,
    Measurement,
    RefusalFilter,
    RefusedDelivery,
    StatusEntry,
    consumer_key,
    find_bucket,
    received_key,
)
from airflow_provider_toggl.core.events.store import EventStore

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def log(store: EventStore) -> ActivityLog:
    return store.activity_log


def refused(reason: str = "No signature.", **fields: object) -> RefusedDelivery:
    usual = {"conn_id": "mine", "outcome": "unsigned", "times": 1, "first_at": RECEIVED, "last_at": RECEIVED}
    return RefusedDelivery(reason=reason, **{**usual, **fields})  # type: ignore[arg-type]


def test_a_status_entry_replaces_the_one_before_and_is_no_event(store: EventStore, log: ActivityLog) -> None:
    log.set_status("a/1", {"text": 'ä "\u2028', "seen": None})
    log.set_status("a/1", {"n": 2})
    log.set_status("b", {})
    assert [(note.name, note.value) for note in log.list_status("a/")] == [("a/1", {"n": 2})]
    assert [note.name for note in log.list_status("b")] == ["b"]
    log.set_status("b", "text", RECEIVED)
    assert log.find_status("b") == StatusEntry("b", "text", RECEIVED)
    assert log.find_status("a") is None
    assert (store.count(), store.last_seq(), store.wait(0, 0.01)) == (0, 0, False)


def test_of_several_who_take_a_note_one_gets_it(log: ActivityLog) -> None:
    log.set_status("leave", {"by": "somebody"})
    with ThreadPoolExecutor(8) as threads:
        taken = [note for note in threads.map(lambda _: log.take_status("leave"), range(8)) if note]
    assert [note.value for note in taken] == [{"by": "somebody"}]
    assert log.take_status("leave") is None


def test_of_several_who_rename_an_entry_one_gets_it_as_it_was(log: ActivityLog) -> None:
    log.set_status("free", {"by": "somebody"}, RECEIVED)
    with ThreadPoolExecutor(8) as threads:
        renamed = [*threads.map(lambda number: log.rename_status("free", f"claimed/{number}"), range(8))]
    assert [one for one in renamed if one] == log.list_status("claimed/")
    (claimed,) = log.list_status("claimed/")
    assert (claimed.value, claimed.recorded_at) == ({"by": "somebody"}, RECEIVED)
    assert log.find_status("free") is None


def test_receivers_that_report_at_once_wait_for_each_other_and_no_count_is_lost(log: ActivityLog) -> None:
    outcomes = [("mine", name) for name in ("stored", "duplicate", "ping")]

    def report(number: int) -> None:
        # In another order each time: nobody must wait in a circle.
        counts = dict.fromkeys(outcomes[number % 3 :] + outcomes[: number % 3], 1)
        log.record_received(DeliveryCounts(RECEIVED, counts))

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(report, range(60)))
    found = log.list_measurements("received/", RECEIVED)
    assert {one.name: one.value for one in found} == {
        f"received/mine/{name}": 60 for name in ("stored", "duplicate", "ping")
    }


def test_counts_of_two_receivers_in_one_hour_are_added(log: ActivityLog) -> None:
    for minutes, count in ((0, 2), (1, 3), (61, 5)):
        at = RECEIVED + minutes * MINUTE
        log.record_received(DeliveryCounts(at, {("mine", "stored"): count, ("other", "ping"): 1}))
    found = log.list_measurements(received_key("mine", ""), RECEIVED - HOUR)
    assert [(sample.name, sample.at, sample.value) for sample in found] == [
        ("received/mine/stored", RECEIVED + MINUTE, 5),
        ("received/mine/stored", RECEIVED + 61 * MINUTE, 5),
    ]


def test_refusals_come_newest_first_page_by_page_of_one_connection(log: ActivityLog) -> None:
    log.record_received(DeliveryCounts(RECEIVED, {}, [refused(str(number), size=number) for number in range(5)]))
    log.record_refusals([refused("bad", outcome="rejected", seq=7), refused("not mine", conn_id="other")])
    first = log.list_refusals("mine", limit=3)
    assert [one.refused.reason for one in first] == ["bad", "4", "3"]
    rest = log.list_refusals("mine", limit=9, before=first[-1].number)
    assert [one.refused for one in rest] == [refused(str(number), size=number) for number in (2, 1, 0)]
    assert [one.refused.seq for one in log.list_refusals("mine", RefusalFilter(rejected=True))] == [7]
    assert len(log.list_refusals("mine", RefusalFilter(rejected=False))) == 5
    assert [one.refused.reason for one in log.list_refusals("mine", RefusalFilter(lowest=7, highest=7))] == ["bad"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (RefusalFilter(), ["tag", "entry", "none"]),
        (RefusalFilter(entity="tag"), ["tag"]),
        (RefusalFilter(action="updated"), ["tag", "entry"]),
        (RefusalFilter(entity="tag", action="created"), []),
        (RefusalFilter(number=5), ["tag"]),
        (RefusalFilter(number=10**30), ["entry"]),
        (RefusalFilter(at_from=RECEIVED + HOUR), ["tag", "none"]),
        (RefusalFilter(at_until=RECEIVED + HOUR), ["entry", "none"]),
        (RefusalFilter(at_from=RECEIVED + 5 * HOUR), []),
    ],
    ids=str,
)
def test_refusals_are_filtered_by_what_is_known_of_them(
    log: ActivityLog, wanted: RefusalFilter, found: list[str]
) -> None:
    about = {"outcome": "rejected", "seq": 1, "action": "updated"}
    later = {"first_at": RECEIVED + 2 * HOUR, "last_at": RECEIVED + 2 * HOUR}
    kept = [
        refused("none", last_at=RECEIVED + HOUR),
        refused("entry", **about, entity="time_entry", entity_id=4, event_id=10**30),
        refused("tag", **about, **later, entity="tag", entity_id=5, event_id=6),
    ]
    log.record_refusals(kept)
    refusals = log.list_refusals("mine", wanted)
    assert [one.refused.reason for one in refusals] == found
    assert {one.refused for one in refusals} <= set(kept)


def test_a_reason_is_cut_and_may_hold_what_no_database_takes(log: ActivityLog) -> None:
    log.record_refusals([refused("a\0b\ud800" + "c" * 1000)])
    (kept,) = log.list_refusals("mine")
    assert kept.refused.reason.startswith("a b?ccc")
    assert len(kept.refused.reason) == 300


def test_the_newest_refusals_stay(log: ActivityLog) -> None:
    for first in range(0, MAX_REFUSALS + 1000, 1000):
        log.record_refusals([refused(str(first + number)) for number in range(1000)])
    kept = log.list_refusals("mine", limit=99_999)
    assert len(kept) == MAX_REFUSALS
    assert kept[0].refused.reason == str(MAX_REFUSALS + 999)


def test_of_a_minute_the_last_number_stays_and_old_ones_go(log: ActivityLog) -> None:
    begin = RECEIVED.replace(second=0)
    for seconds, value in ((0, 1.0), (30, 2.5), (60, 3.0)):
        log.record_measurement("mark", begin + timedelta(seconds=seconds), value)
    assert [sample.value for sample in log.list_measurements("mark", begin)] == [2.5, 3.0]
    log.record_measurement("mark", begin + MEASUREMENTS_KEPT_FOR + MINUTE, 4.0)
    assert [sample.value for sample in log.list_measurements("mark", begin)] == [3.0, 4.0]


def test_when_a_reader_passed_a_place_is_known_to_the_minute(place: StoreLocation) -> None:
    clock = FakeClock(RECEIVED.timestamp())
    with place.open(clock=clock) as store:
        log = store.activity_log
        store.append([new_event(number) for number in range(1, 101)])
        for seq in (10, 20, 90):
            store.commit("reader", seq)
            clock.sleep(600)
        name = consumer_key("reader")
        times = {
            seq: tuple(None if one is None else one.value for one in log.find_crossing(name, seq))
            for seq in (5, 10, 11, 90, 91)
        }
    assert times == {5: (None, 10), 10: (None, 10), 11: (10, 20), 90: (20, 90), 91: (90, None)}


@pytest.mark.parametrize(("moment", "step", "bucket"), [(0, MINUTE, 0), (59.9, MINUTE, 0), (7200, HOUR, 2)])
def test_a_bucket_is_the_number_of_the_step(moment: float, step: timedelta, bucket: int) -> None:
    assert find_bucket(utc(moment), step) == bucket


def test_a_sample_is_what_was_kept(log: ActivityLog) -> None:
    log.record_measurement("x", RECEIVED, 1.5)
    assert log.list_measurements("x", RECEIVED) == [Measurement("x", RECEIVED, 1.5)]
    assert log.list_measurements("x", RECEIVED + MINUTE) == []
