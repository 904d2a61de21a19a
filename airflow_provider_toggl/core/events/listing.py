"""Deliveries for people: newest first, filtered, page by page, within a bounded time however many are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_toggl.core.events.store import EventStore

FIRST_STRIDE = 2_000
"""Places that the first look goes back; each next one goes back twice as far."""
LONGEST_STRIDE = 32_000
SLACK = 1_000
"""Places by which times and places may disagree: several receivers have several clocks."""
BUDGET = 0.1
"""Seconds after which no further look is begun. What is found by then is a page, and the next page goes on behind."""


@dataclass(frozen=True)
class Delivery:
    """A stored event without its bytes.

    :param size: how many bytes it has.
    """

    seq: int
    subscription_id: int
    event_id: int
    conn_id: str
    workspace_id: int | None
    entity: str | None
    action: str | None
    entity_id: int | None
    created_at: datetime | None
    received_at: datetime
    oddity: str | None
    size: int


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries are wanted; what is not given does not matter.

    :param number: an id of Toggl's: the event's, or that of what changed.
    :param odd: only those about which something is unusual.
    :param above: only those with a greater ``seq``; ``up_to``: none with a greater one.
    :param received_from: aware; likewise ``received_until``, which is not among them.
    """

    conn_id: str | None = None
    entity: str | None = None
    action: str | None = None
    number: int | None = None
    odd: bool = False
    above: int = 0
    up_to: int | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None


@dataclass(frozen=True)
class Page:
    """Some deliveries, newest first.

    :param older: the place before which the next page begins, None where this one is the last.
    :param is_whole: whether it has as many as were asked for, or all there are; else looking took too long.
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
    budget: float = BUDGET,
    now: Callable[[], float] = time.monotonic,
) -> Page:
    """Return a page of deliveries.

    No index but that of places and times is needed: it goes back in strides, and stops where the budget is spent.

    :param before: only those with a lower ``seq``; None begins with the newest.
    :param limit: the most to return.
    :param budget: in seconds, as ``BUDGET``.
    """
    begun = now()
    top, floor = _bounds(store, wanted, before)
    found: list[Delivery] = []
    if wanted.number is not None and before is None:
        by_key = store.deliveries_of_event(wanted, limit=limit)
        if by_key:
            # The key tells at once; what else has that id is looked for when somebody goes on.
            return Page(by_key, top, is_whole=False)
    stride, looked = FIRST_STRIDE, 0
    while top - 1 > floor:
        bottom = max(floor, top - 1 - stride)
        some = store.deliveries(wanted, before=top, above=bottom, limit=limit + 1 - len(found))
        found += some
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].seq, is_whole=True)
        top = bottom + 1
        spent = now() - begun
        if spent > budget * 0.8 and top - 1 > floor:
            return Page(found, top, is_whole=False)
        # As far as the time that is left allows, by how fast the last look was.
        looked += stride
        stride = max(FIRST_STRIDE, min(LONGEST_STRIDE, int(looked / max(spent, 1e-6) * (budget - spent))))
    return Page(found, None, is_whole=True)


def _bounds(store: EventStore, wanted: DeliveryFilter, before: int | None) -> tuple[int, int]:
    """Return the places between which to look: before the first, after the second."""
    top = store.last_seq() + 1 if before is None else before
    floor = max(wanted.above, store.first_seq() - 1)
    if wanted.up_to is not None:
        top = min(top, wanted.up_to + 1)
    if wanted.received_from is not None:
        first = store.place_of(wanted.received_from)
        floor = top if first is None else max(floor, first - SLACK)
    if wanted.received_until is not None:
        first = store.place_of(wanted.received_until)
        top = top if first is None else min(top, first + SLACK)
    return top, floor
