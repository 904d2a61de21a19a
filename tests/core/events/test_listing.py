from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from support.event_stores import RECEIVED, new_event
from support.many_events import FIRST_ENTITY, FIRST_EVENT, fill_store

from airflow_provider_toggl.core.events.listing import LONGEST_STRIDE, Delivery, DeliveryFilter, Page, list_deliveries
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore, Handshake

SECOND = timedelta(seconds=1)
KINDS = (("time_entry", "created"), ("time_entry", "updated"), ("project", "updated"), (None, None))


@pytest.fixture
def filled(store: EventStore) -> EventStore:
    """A store of twenty events, a second apart, of two connections in turns."""
    store.append(
        [
            new_event(
                1000 + number,
                received_at=RECEIVED + number * SECOND,
                conn_id=("mine", "other")[number % 2],
                entity=KINDS[number % 4][0],
                action=KINDS[number % 4][1],
                entity_id=number // 4,
                oddity="unknown model" if number == 11 else None,
            )
            for number in range(1, 21)
        ]
    )
    return store


def seqs(page: Page) -> list[int]:
    return [one.seq for one in page.deliveries]


def test_a_delivery_is_the_event_without_its_bytes(filled: EventStore) -> None:
    (found,) = list_deliveries(filled, DeliveryFilter(odd=True)).deliveries
    event = filled.get(11).event
    assert found == Delivery(
        11, 10713, 1011, "other", None, None, None, 2, None, event.received_at, "unknown model", len(event.body)
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (DeliveryFilter(), list(range(20, 0, -1))),
        (DeliveryFilter(conn_id="mine"), list(range(20, 0, -2))),
        (DeliveryFilter(entity="project"), [18, 14, 10, 6, 2]),
        (DeliveryFilter(entity="time_entry", action="created"), [20, 16, 12, 8, 4]),
        (DeliveryFilter(number=2), [11, 10, 9, 8]),
        (DeliveryFilter(number=10**30), []),
        (DeliveryFilter(odd=True), [11]),
        (DeliveryFilter(above=15, up_to=18), [18, 17, 16]),
        (DeliveryFilter(received_from=RECEIVED + 17 * SECOND), [20, 19, 18, 17]),
        (DeliveryFilter(received_until=RECEIVED + 4 * SECOND), [3, 2, 1]),
        (DeliveryFilter(received_from=RECEIVED + 21 * SECOND), []),
        (DeliveryFilter(received_from=RECEIVED, received_until=RECEIVED), []),
    ],
    ids=str,
)
def test_those_that_are_wanted_come_newest_first(
    filled: EventStore, wanted: DeliveryFilter, expected: list[int]
) -> None:
    page = list_deliveries(filled, wanted)
    assert (seqs(page), page.older, page.is_whole) == (expected, None, True)


def test_pages_follow_each_other_without_a_gap_while_new_ones_come(filled: EventStore) -> None:
    wanted, found, before = DeliveryFilter(conn_id="mine"), [], None
    while True:
        page = list_deliveries(filled, wanted, before=before, limit=3)
        found += seqs(page)
        filled.append([new_event(5000 + len(found), conn_id="mine")])
        if page.older is None:
            break
        before = page.older
    assert found == list(range(20, 0, -2))


def test_an_event_is_found_by_its_number_through_the_key_and_then_looked_for_as_an_id(filled: EventStore) -> None:
    page = list_deliveries(filled, DeliveryFilter(number=1003))
    assert (seqs(page), page.is_whole) == ([3], False)
    assert seqs(list_deliveries(filled, DeliveryFilter(number=1003), before=page.older)) == [3]


def test_an_event_of_a_subscription_that_only_validated_here_is_found_by_its_number(store: EventStore) -> None:
    store.append([new_event(7, subscription_id=5)])
    store.append([new_event(number, subscription_id=6) for number in range(100, 700)])
    store.keep_handshake(Handshake(5, "mine", "code", RECEIVED))
    assert seqs(list_deliveries(store, DeliveryFilter(number=7))) == [1]


def test_an_empty_store_has_one_empty_page(store: EventStore) -> None:
    assert list_deliveries(store, DeliveryFilter(number=1)) == Page([], None, is_whole=True)


def test_what_retention_has_removed_is_not_looked_for(filled: EventStore) -> None:
    filled.prune(RECEIVED + 10 * SECOND)
    assert (filled.first_seq(), filled.place_of(RECEIVED), filled.place_of(RECEIVED + 99 * SECOND)) == (10, 10, None)
    assert seqs(list_deliveries(filled, DeliveryFilter(conn_id="mine"))) == [20, 18, 16, 14, 12, 10]


def test_the_newest_of_each_entity_is_told_of_one_connection(filled: EventStore) -> None:
    newest = filled.newest("mine", 0)
    assert newest == {"time_entry": RECEIVED + 20 * SECOND, "project": RECEIVED + 18 * SECOND}
    assert filled.newest("mine", 18) == {"time_entry": RECEIVED + 20 * SECOND}


class LookedAt(SqliteEventStore):
    """Counts the places that are looked at, of which each takes as long as the other."""

    places = 0

    def deliveries(self, wanted: DeliveryFilter, *, before: int, above: int, limit: int) -> list[Delivery]:
        self.places += before - 1 - above
        return super().deliveries(wanted, before=before, above=above, limit=limit)

    def now(self) -> float:
        return self.places * 2e-6


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "events.sqlite"
    fill_store(path, 200_000, last=RECEIVED)
    return path


@pytest.fixture
def looked_at(large: Path) -> Iterator[LookedAt]:
    with LookedAt(large) as store:
        yield store


def test_a_page_costs_no_more_than_its_time_whatever_is_wanted_and_the_next_goes_on(looked_at: LookedAt) -> None:
    wanted, found, pages, before = DeliveryFilter(number=FIRST_ENTITY), [], 0, None
    while True:
        begun = looked_at.places
        page = list_deliveries(looked_at, wanted, before=before, now=looked_at.now)
        assert looked_at.places - begun <= 0.1 / 2e-6 + LONGEST_STRIDE
        found, pages = [*found, *seqs(page)], pages + 1
        if page.older is None:
            break
        assert not page.is_whole
        before = page.older
    assert (found, pages > 3) == ([3, 2, 1], True)


@pytest.mark.parametrize(
    "wanted",
    [
        DeliveryFilter(),
        DeliveryFilter(entity="time_entry"),
        DeliveryFilter(number=FIRST_EVENT),
        DeliveryFilter(received_until=RECEIVED - timedelta(days=1)),
        DeliveryFilter(up_to=1000),
    ],
    ids=str,
)
def test_what_places_times_and_keys_tell_is_found_in_few_looks(looked_at: LookedAt, wanted: DeliveryFilter) -> None:
    assert list_deliveries(looked_at, wanted, now=looked_at.now).deliveries
    assert looked_at.places <= 10_000
