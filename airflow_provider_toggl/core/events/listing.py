"""Deliveries for people: newest first, filtered, page by page, within a bounded time however many are kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_toggl.core.events.store import EventStore

MOST_AT_ONCE = 400
"""Rows of one look. The first is for a page; each next one for twice as many, where few of its rows were wanted."""
SLACK = 1_000
"""Events, by time, among which the first or last place of a time is: several receivers have several clocks."""
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
class Kind:
    """What deliveries of a connection are about.

    :param key: the store's name for it.
    """

    key: str
    entity: str | None
    action: str | None


@dataclass(frozen=True)
class DeliveryFilter:
    """Which deliveries of a connection are wanted; what is not given does not matter.

    :param number: an id of Toggl's: the event's, or that of what changed.
    :param odd: only those about which something is unusual.
    :param above: only those with a greater ``seq``; ``up_to``: none with a greater one.
    :param received_from: aware; likewise ``received_until``, which is not among them.
    """

    conn_id: str
    entity: str | None = None
    action: str | None = None
    number: int | None = None
    odd: bool = False
    above: int = 0
    up_to: int | None = None
    received_from: datetime | None = None
    received_until: datetime | None = None

    def has(self, kind: Kind) -> bool:
        """Whether deliveries of a kind may be wanted."""
        return self.entity in (None, kind.entity) and self.action in (None, kind.action)


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

    An index leads to the rows that are wanted, but for a second filter beside an id or what is odd, and for times where
    clocks disagree: of what does not count there a page looks at as much as its time allows.

    :param before: only those with a lower ``seq``; None begins with the newest.
    :param limit: the most to return.
    :param budget: in seconds, as ``BUDGET``.
    """
    begun = now()
    top, floor = _bounds(store, wanted, before)
    by_kind = wanted.number is None and not wanted.odd
    kinds = [kind for kind in store.kinds(wanted.conn_id) if wanted.has(kind)] if by_kind else []
    found: list[Delivery] = []
    batch = limit + 1
    while top - 1 > floor:
        seqs = store.places(wanted, kinds, before=top, above=floor, limit=batch)
        found += store.deliveries(wanted, seqs)
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].seq, is_whole=True)
        if len(seqs) < batch:
            break
        top = seqs[-1]
        if now() - begun > budget:
            return Page(found, top, is_whole=False)
        batch = max(limit + 1, min(2 * batch, MOST_AT_ONCE))
    return Page(found, None, is_whole=True)


def keep_newest(newest: dict[str | None, datetime], entity: str | None, moment: datetime) -> None:
    """Keep a moment for its entity, unless a later one is kept."""
    newest[entity] = max(moment, newest.get(entity, moment))


def _bounds(store: EventStore, wanted: DeliveryFilter, before: int | None) -> tuple[int, int]:
    """Return the places between which to look: before the first, after the second."""
    top = store.last_seq() + 1 if before is None else before
    floor = max(wanted.above, store.first_seq() - 1)
    if wanted.up_to is not None:
        top = min(top, wanted.up_to + 1)
    if wanted.received_from is not None:
        first = store.place_from(wanted.received_from, SLACK)
        floor = top if first is None else max(floor, first - 1)
    if wanted.received_until is not None:
        last = store.place_before(wanted.received_until, SLACK)
        top = floor if last is None else min(top, last + 1)
    return top, floor
