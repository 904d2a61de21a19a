from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from support.event_stores import FIRST_ENTITY, FIRST_EVENT, RECEIVED, fill_postgres_store, fill_store, new_event
from support.servers.postgres import PostgresServer
from support.waiting import wait_until

from airflow_provider_toggl.core.events.listing import MAX_BATCH, DeliveryPage, list_deliveries
from airflow_provider_toggl.core.events.model import Delivery, DeliveryFilter
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore

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
                anomaly="unknown model" if number == 11 else None,
            )
            for number in range(1, 21)
        ]
    )
    return store


def seqs(page: DeliveryPage) -> list[int]:
    return [one.seq for one in page.deliveries]


def test_a_delivery_is_the_event_without_its_bytes(filled: EventStore) -> None:
    (found,) = list_deliveries(filled, DeliveryFilter("other", only_anomalies=True)).deliveries
    event = filled.get(11).event
    assert found == Delivery(
        11, 10713, 1011, "other", None, None, None, 2, None, event.received_at, "unknown model", len(event.body)
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (DeliveryFilter("mine"), list(range(20, 0, -2))),
        (DeliveryFilter("other"), list(range(19, 0, -2))),
        (DeliveryFilter("min"), []),
        (DeliveryFilter("mine", entity="project"), [18, 14, 10, 6, 2]),
        (DeliveryFilter("mine", entity="time_entry", action="created"), [20, 16, 12, 8, 4]),
        (DeliveryFilter("mine", action="updated"), [18, 14, 10, 6, 2]),
        (DeliveryFilter("mine", entity="time_entry", action="updated"), []),
        (DeliveryFilter("mine", number=2), [10, 8]),
        (DeliveryFilter("mine", number=1010), [10]),
        (DeliveryFilter("other", number=1010), []),
        (DeliveryFilter("mine", number=2, entity="project"), [10]),
        (DeliveryFilter("mine", number=10**30), []),
        (DeliveryFilter("other", only_anomalies=True), [11]),
        (DeliveryFilter("mine", only_anomalies=True), []),
        (DeliveryFilter("other", only_anomalies=True, entity="project"), []),
        (DeliveryFilter("mine", above=15, up_to=18), [18, 16]),
        (DeliveryFilter("mine", received_from=RECEIVED + 17 * SECOND), [20, 18]),
        (DeliveryFilter("mine", received_until=RECEIVED + 5 * SECOND), [4, 2]),
        (DeliveryFilter("mine", received_from=RECEIVED + 21 * SECOND), []),
        (DeliveryFilter("mine", received_from=RECEIVED, received_until=RECEIVED), []),
    ],
    ids=str,
)
def test_those_that_are_wanted_come_newest_first(
    filled: EventStore, wanted: DeliveryFilter, expected: list[int]
) -> None:
    page = list_deliveries(filled, wanted)
    assert (seqs(page), page.older, page.is_whole) == (expected, None, True)


def test_pages_follow_each_other_without_a_gap_while_new_ones_come(filled: EventStore) -> None:
    wanted, found, before = DeliveryFilter("mine"), [], None
    while True:
        page = list_deliveries(filled, wanted, before=before, limit=3)
        found += seqs(page)
        filled.append([new_event(5000 + len(found), conn_id="mine")])
        if page.older is None:
            break
        before = page.older
    assert found == list(range(20, 0, -2))


def test_event_types_are_those_of_one_connection_even_if_its_id_begins_like_another(store: EventStore) -> None:
    for number, conn_id in enumerate(("a", "a b", "a!", "ab", "b")):
        store.append([new_event(2 * number, conn_id=conn_id, entity="tag", action=conn_id)])
        store.append([new_event(2 * number + 1, conn_id=conn_id)])
    assert [(kind.entity, kind.action) for kind in store.list_event_types("a!")] == [(None, None), ("tag", "a!")]
    assert {kind.entity for kind in store.list_event_types("ab")} == {None, "tag"}
    assert seqs(list_deliveries(store, DeliveryFilter("a"))) == [2, 1]


def test_an_id_of_what_changed_is_not_taken_for_less_than_it_is(store: EventStore) -> None:
    # An id of an event may have more digits than any number of a database.
    store.append([new_event(10**30, entity_id=7)])
    assert seqs(list_deliveries(store, DeliveryFilter("toggl_default", number=10**30))) == [1]


def test_a_time_has_what_was_received_then_though_clocks_of_receivers_disagree(store: EventStore) -> None:
    # Every other receiver is five seconds ahead.
    moments = [RECEIVED + (number + 5 * (number % 2)) * SECOND for number in range(20)]
    store.append([new_event(number, received_at=moment) for number, moment in enumerate(moments, 1)])
    for first, last in ((0, 25), (5, 12), (7, 8), (30, 40)):
        since, until = RECEIVED + first * SECOND, RECEIVED + last * SECOND
        wanted = DeliveryFilter("toggl_default", received_from=since, received_until=until)
        expected = [number for number, moment in enumerate(moments, 1) if since <= moment < until]
        assert seqs(list_deliveries(store, wanted)) == expected[::-1]


def test_an_empty_store_has_one_empty_page(store: EventStore) -> None:
    assert list_deliveries(store, DeliveryFilter("mine", number=1)) == DeliveryPage([], None, is_whole=True)
    assert list_deliveries(store, DeliveryFilter("mine")) == DeliveryPage([], None, is_whole=True)


def test_what_retention_has_removed_is_not_looked_for(filled: EventStore) -> None:
    filled.prune(RECEIVED + 10 * SECOND)
    assert (filled.first_seq(), filled.first_seq_since(RECEIVED, 9), filled.last_seq_before(RECEIVED, 9)) == (
        10,
        10,
        None,
    )
    assert seqs(list_deliveries(filled, DeliveryFilter("mine"))) == [20, 18, 16, 14, 12, 10]


def test_the_newest_event_of_each_entity_is_found_for_one_connection(filled: EventStore) -> None:
    newest = filled.find_newest_by_entity("mine")
    assert newest == {"time_entry": RECEIVED + 20 * SECOND, "project": RECEIVED + 18 * SECOND}
    assert filled.find_newest_by_entity("nobody") == {}


class LookedAt(SqliteEventStore):
    """Counts the rows that are read, of which each takes as long as the other."""

    rows = 0

    def read_deliveries(self, wanted: DeliveryFilter, seqs: Sequence[int]) -> list[Delivery]:
        self.rows += len(seqs)
        return super().read_deliveries(wanted, seqs)

    def now(self) -> float:
        return self.rows * 1e-4


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "events.sqlite"
    fill_store(path, 200_000, last=RECEIVED)
    with SqliteEventStore(path) as store:
        # A quiet connection beside a busy one.
        store.append([new_event(1, conn_id="quiet")])
        store.append([new_event(number, anomaly="unknown model") for number in range(2, 3002)])
    return path


@pytest.fixture
def looked_at(large: Path) -> Iterator[LookedAt]:
    with LookedAt(large) as store:
        yield store


def test_a_page_costs_no_more_than_its_time_whatever_is_wanted_and_the_next_goes_on(looked_at: LookedAt) -> None:
    wanted, found, pages, before = (
        DeliveryFilter("toggl_default", entity="time_entry", only_anomalies=True),
        [],
        0,
        None,
    )
    while True:
        begun = looked_at.rows
        page = list_deliveries(looked_at, wanted, before=before, now=looked_at.now)
        assert looked_at.rows - begun <= 0.1 / 1e-4 + MAX_BATCH
        found, pages = [*found, *seqs(page)], pages + 1
        if page.older is None:
            break
        before = page.older
    assert (len(found), found[-1], pages > 3) == (200, 501, True)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (DeliveryFilter("toggl_default"), 51),
        (DeliveryFilter("toggl_default", entity="client"), 51),
        (DeliveryFilter("toggl_default", entity="client", action="deleted"), 51),
        (DeliveryFilter("toggl_default", entity="task"), 0),
        (DeliveryFilter("toggl_default", number=FIRST_EVENT), 1),
        (DeliveryFilter("toggl_default", number=FIRST_ENTITY), 3),
        (DeliveryFilter("toggl_default", number=5), 1),
        (DeliveryFilter("toggl_default", up_to=1000), 51),
        (DeliveryFilter("toggl_default", received_until=RECEIVED - timedelta(days=1)), 51),
        (DeliveryFilter("quiet"), 1),
    ],
    ids=str,
)
def test_an_index_leads_to_what_is_wanted_however_rare_it_is(
    looked_at: LookedAt, wanted: DeliveryFilter, rows: int
) -> None:
    page = list_deliveries(looked_at, wanted, now=lambda: 0.0)
    assert (len(page.deliveries), page.is_whole) == (min(rows, 50), True)
    assert looked_at.rows <= rows


def test_postgresql_reads_no_more_than_its_indexes_lead_to(postgres: PostgresServer) -> None:
    schema = f"plans_{uuid.uuid4().hex}"
    fill_postgres_store(postgres.dsn, 20_000, last=RECEIVED, schema=schema)
    wanted = [
        DeliveryFilter("toggl_default"),
        DeliveryFilter("toggl_default", entity="client"),
        DeliveryFilter("toggl_default", number=FIRST_ENTITY),
        DeliveryFilter("toggl_default", number=FIRST_EVENT),
        DeliveryFilter("toggl_default", only_anomalies=True),
    ]
    query = """
        select coalesce(seq_tup_read, 0), coalesce(idx_tup_fetch, 0), coalesce(idx_scan, 0)
        from pg_stat_user_tables where schemaname = %s and relname = 'events'
    """
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        ((seen, fetched, scans),) = db.execute(query, (schema,)).fetchall()
        with PostgresEventStore(postgres.dsn, schema=schema) as store:
            assert all(list_deliveries(store, one).deliveries for one in wanted)
            assert store.find_newest_by_entity("toggl_default")

        def read() -> int | None:
            # PostgreSQL counts what a session has read when the session ends.
            ((now_seen, now_fetched, now_scans),) = db.execute(query, (schema,)).fetchall()
            return int(now_seen - seen + now_fetched - fetched) if now_scans > scans + 20 else None

        wait_until(read, timeout=30)
        assert 0 < (read() or 0) < 2_000
