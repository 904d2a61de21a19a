"""Lists of deliveries: newest first, filtered, page by page, within a bounded time however many there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.events.model import Delivery, DeliveryFilter
from airflow_provider_toggl.core.events.store import EventStore

MAX_BATCH = 400
"""Rows of one query. The first reads a page; each further one twice as many, where few of its rows matched."""
CLOCK_SLACK = 1_000
"""Events, by time, among which the first or last ``seq`` of a time is: several receivers have several clocks."""
TIME_BUDGET = 0.1
"""Seconds after which no further query is begun. What was found by then is a page, and the next page goes on there."""


@dataclass(frozen=True)
class DeliveryPage:
    """Some deliveries, newest first.

    :param older: the ``seq`` before which the next page begins, None where this page is the last.
    :param is_whole: whether it has as many as were asked for, or all there are; else the time was up.
    """

    deliveries: Sequence[Delivery]
    older: int | None
    is_whole: bool


def list_deliveries(
    store: EventStore,
    wanted: DeliveryFilter,
    *,
    before: int | None = None,
    limit: int = 50,
    budget: float = TIME_BUDGET,
    now: Callable[[], float] = time.monotonic,
) -> DeliveryPage:
    """Return a page of deliveries.

    An index leads to those that match, except for a second filter beside a number or an anomaly, and for times where
    clocks disagree: there a page reads as many others as its time allows.

    :param before: only those with a lower ``seq``; None begins with the newest.
    :param limit: the most to return.
    :param budget: in seconds, as ``TIME_BUDGET``.
    """
    start = now()
    top, floor = _find_bounds(store, wanted, before)
    by_type = wanted.number is None and not wanted.only_anomalies
    event_types = [one for one in store.list_event_types(wanted.conn_id) if wanted.has(one)] if by_type else []
    found: list[Delivery] = []
    batch = limit + 1
    while top - 1 > floor:
        seqs = store.find_seqs(wanted, event_types, before=top, above=floor, limit=batch)
        found += store.read_deliveries(wanted, seqs)
        if len(found) > limit:
            return DeliveryPage(found[:limit], found[limit - 1].seq, is_whole=True)
        if len(seqs) < batch:
            break
        top = seqs[-1]
        if now() - start > budget:
            return DeliveryPage(found, top, is_whole=False)
        batch = max(limit + 1, min(2 * batch, MAX_BATCH))
    return DeliveryPage(found, None, is_whole=True)


def _find_bounds(store: EventStore, wanted: DeliveryFilter, before: int | None) -> tuple[int, int]:
    """Return the numbers between which to search: below the first, above the second."""
    top = store.last_seq() + 1 if before is None else before
    floor = max(wanted.above, store.first_seq() - 1)
    if wanted.up_to is not None:
        top = min(top, wanted.up_to + 1)
    if wanted.received_from is not None:
        first = store.first_seq_since(wanted.received_from, CLOCK_SLACK)
        floor = top if first is None else max(floor, first - 1)
    if wanted.received_until is not None:
        last = store.last_seq_before(wanted.received_until, CLOCK_SLACK)
        top = floor if last is None else min(top, last + 1)
    return top, floor
