"""Drain the event store into a warehouse.

The cursor is in the warehouse and moves in the transaction of the loaded rows. If a drain stops for any reason, loaded
events stay, and the next drain goes on after them. It sends no request to Toggl.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import EventNotFound
from airflow_provider_toggl.core.events.activity_log import REJECTED, RefusedDelivery, reader_key
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.store import EventStore, measure_store
from airflow_provider_toggl.core.load.load_metrics import measure_load
from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.values import LoadResult, Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.events import DecodedEvents

log = logging.getLogger(__name__)

STREAM = "events"
#: A batch has at most this many events or bytes: enough for a fast merge, and bounded in memory.
BATCH_EVENTS = 20_000
BATCH_BYTES = 32 * 2**20
#: Events that one query reads; bodies may be large.
CHUNK = 500
#: Seconds between log lines about progress.
LOG_EVERY = 10.0
#: Rejected events of a batch that the store records, at most.
MAX_RECORDED = 100


@dataclass(frozen=True)
class DrainRequest:
    """Which events a drain loads.

    :param store: a name of the store, so that cursors of different stores are kept apart.
    :param consumer: the consumer's name in the store; retention keeps events that it has not loaded yet.
    :param conn_id: only events of this connection; None means all.
    :param workspace_id: only events of this workspace; None means all.
    :param max_events: read at most this many events; None means all that are stored when the drain begins.
    :param collect_changes: find out which entities and days changed, for the outlets of the task.
    """

    store: str
    consumer: str
    conn_id: str | None = None
    workspace_id: int | None = None
    max_events: int | None = None
    collect_changes: bool = False

    @property
    def scope(self) -> str:
        """The scope of the cursor: the store, and the selection of its events."""
        return self.store + self._only()

    @property
    def reader(self) -> str:
        """The consumer's name in the store, with the selection of events."""
        return self.consumer + self._only()

    def _only(self) -> str:
        only = {"conn_id": self.conn_id, "workspace_id": self.workspace_id}
        words = [f"{name}={value}" for name, value in only.items() if value is not None]
        return "?" + "&".join(words) if words else ""

    def as_note(self) -> dict[str, Any]:
        """Return what the store records of this consumer, for health pages."""
        return {
            "kind": "loader",
            "warehouse": self.consumer,
            "conn_id": self.conn_id,
            "workspace_id": self.workspace_id,
        }

    def wants(self, event: NewEvent) -> bool:
        """Whether an event is selected."""
        return self.conn_id in (None, event.conn_id) and self.workspace_id in (None, event.workspace_id)


@dataclass
class DrainSummary:
    """What a drain did.

    :param events: events that were selected.
    :param streams: how many of them belong to each stream.
    :param inserted: new rows; several events of one row count once per batch.
    :param unchanged: events that contained nothing newer.
    :param rejected: events that are in ``rejected_records`` now.
    :param skipped: events of entities that have no table.
    :param last_seq: all selected events up to this ``seq`` are loaded.
    :param restarted: the store is not the one of the cursor, so it was read from its beginning.
    """

    events: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: int = 0
    last_seq: int = 0
    restarted: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as XCom can hold it."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it as one line of text."""
        streams = ", ".join(f"{count:,} of {name}" for name, count in sorted(self.streams.items()))
        return (
            f"{plural(self.events, 'event')} up to {self.last_seq:,} in {self.seconds:.1f} s "
            f"({streams or 'nothing to load'}): "
            f"{plural(self.inserted, 'row')} inserted, {self.updated:,} updated, "
            f"{plural(self.unchanged, 'event')} without news, {self.rejected:,} rejected, {self.skipped:,} skipped."
        )


class Drain:
    """Loads the events of a store that are not in a warehouse yet."""

    def __init__(
        self, store: EventStore, target: Warehouse, request: DrainRequest, *, clock: Clock | None = None
    ) -> None:
        self._store = store
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self.summary = DrainSummary()
        self.changes = Changes()
        # Rows of each stream's table that are new or changed; a row counts once in each batch.
        self.written: Counter[str] = Counter()

    def run(self) -> DrainSummary:
        """Load everything up to the event that is the last one now; return the summary.

        :raises TogglError: loaded events stay, and :attr:`summary` says how many there are.
        """
        started = self._clock.now()
        with fields(stream=STREAM, by="drain"):
            try:
                self._drain(self._store.last_seq(), started)
            finally:
                self.summary.seconds = round(self._clock.now() - started, 3)
                metrics.RUN_TIME.record(self.summary.seconds, by="drain", stream=STREAM)
                self._target.release(force=True)
            measure_store(self._store, self._request.store)
            log_line(log, "%s", self.summary, **fields_of(self.summary), rows=self.summary.events)
        return self.summary

    def _drain(self, until: int, started: float) -> None:
        begin = self.summary.last_seq = self._find_begin(until)
        # The drain before may have been killed after it loaded events and before it moved the store's cursor. And
        # retention must know of a consumer that has loaded nothing yet.
        self._store.commit(self._request.reader, begin)
        self._store.activity_log.set_status(reader_key(self._request.reader), self._request.as_note())
        logged = started
        for events in _read_ahead(self._batches(begin, until)):
            self._load(events)
            now = self._clock.now()
            if now - logged >= LOG_EVERY:
                logged = now
                self._log_progress(begin, until, now - started)
            self._target.release()

    def _find_begin(self, last_seq: int) -> int:
        """Return the ``seq`` after which to go on: 0 in a store that is not the one of the cursor."""
        state = self._target.find_state(STREAM, self._request.scope)
        self._target.release()
        if state is None:
            return 0
        cursor = json.loads(state.cursor)
        seq = int(cursor["seq"])
        if seq <= last_seq and self._is_same(seq, cursor["event"]):
            return seq
        self.summary.restarted = True
        log.warning(
            "The event store %s is not the one that was loaded up to %d: it was replaced, or restored from a copy. All "
            "its events are loaded again, which changes no newer row.",
            self._request.store,
            seq,
        )
        return 0

    def _is_same(self, seq: int, event: str) -> bool:
        try:
            return _name_of(self._store.get(seq)) == event
        except EventNotFound:
            # Retention has removed it, which removes only what is loaded.
            return True

    def _batches(self, after: int, until: int) -> Iterator[list[StoredEvent]]:
        """Yield stored events in batches, selected or not: the last one of a batch is its progress."""
        left = self._request.max_events
        batch: list[StoredEvent] = []
        size = 0
        while after < until and (left is None or left > 0):
            found = self._store.read(after, min(CHUNK, until - after, CHUNK if left is None else left))
            if not found:
                break
            after = found[-1].seq
            left = None if left is None else left - len(found)
            batch += found
            size += sum(len(stored.event.body) for stored in found)
            if len(batch) >= BATCH_EVENTS or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _load(self, events: list[StoredEvent]) -> None:
        from airflow_provider_toggl.core.load.decode.events import decode_events  # noqa: PLC0415 - imports pyarrow

        chosen = [stored for stored in events if self._request.wants(stored.event)]
        wanted = [stored.event for stored in chosen]
        decoded = decode_events(wanted, [stored.seq for stored in chosen])
        began = time.monotonic()
        loaded = self._target.load(
            decoded.batches, self._progress(events[-1]), collect_days=self._request.collect_changes
        )
        measure_load(loaded, by="drain", stream=STREAM, seconds=time.monotonic() - began)
        if self._request.collect_changes:
            self.changes.collect_batches(decoded.batches)
            self.changes.collect_days(loaded)
        self._store.commit(self._request.reader, events[-1].seq)
        if wanted:
            metrics.DRAIN_DELAY.record(self._clock.now() - wanted[0].received_at.timestamp())
        self._record_rejected(events, decoded)
        self._count(len(wanted), events[-1].seq, decoded, loaded)

    def _record_rejected(self, events: list[StoredEvent], decoded: DecodedEvents) -> None:
        """Record in the store which events were rejected; their bodies are in ``rejected_records`` too."""
        rejected = [one for batch in decoded.batches for one in batch.rejected][:MAX_RECORDED]
        if not rejected:
            return
        stored = {each.seq: each for each in events}
        now = utc(self._clock.now())
        self._store.activity_log.record_refusals(
            [_refusal(stored[one.seq], one.reason, now) for one in rejected if one.seq is not None]
        )

    def _progress(self, last: StoredEvent) -> Progress:
        cursor = json.dumps({"seq": last.seq, "event": _name_of(last)})
        return Progress(
            stream=STREAM,
            scope=self._request.scope,
            watermark=None,
            cursor=cursor,
            requests_spent=0,
            ran_at=utc(self._clock.now()),
        )

    def _count(self, events: int, last_seq: int, decoded: DecodedEvents, loaded: LoadResult) -> None:
        summary = self.summary
        summary.events += events
        summary.last_seq = last_seq
        self.written.update(loaded.written)
        summary.inserted += loaded.inserted
        summary.updated += loaded.updated
        summary.unchanged += loaded.unchanged
        summary.rejected += loaded.rejected
        summary.skipped += decoded.skipped
        metrics.DRAINED.add(events - decoded.skipped - loaded.rejected, result="loaded")
        metrics.DRAINED.add(decoded.skipped, result="skipped")
        metrics.DRAINED.add(loaded.rejected, result="rejected")
        for batch in decoded.batches:
            if batch.rows:
                summary.streams[batch.stream] = summary.streams.get(batch.stream, 0) + batch.rows
            if batch.rejected:
                log.warning(
                    "%s up to seq %d rejected, see rejected_records. The first one: %s",
                    plural(len(batch.rejected), "event"),
                    last_seq,
                    batch.rejected[0].reason,
                )

    def _log_progress(self, begin: int, until: int, elapsed: float) -> None:
        done = self.summary.last_seq
        share = (done - begin) / (until - begin)
        log.info(
            "Events up to seq %s of %s: %s loaded, %s rejected; about %.0f s left.",
            f"{done:,}",
            f"{until:,}",
            f"{self.summary.events:,}",
            f"{self.summary.rejected:,}",
            elapsed / share - elapsed,
        )


def _read_ahead(batches: Iterator[list[StoredEvent]]) -> Iterator[list[StoredEvent]]:
    """Yield batches, and read the next one from the store while the warehouse loads this one."""
    with ThreadPoolExecutor(1, "toggl-read-ahead") as thread:
        following = thread.submit(next, batches, None)
        while (events := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield events


def _name_of(stored: StoredEvent) -> str:
    """Return a name that differs from that of the event with the same ``seq`` in another store."""
    return f"{stored.event.subscription_id}:{stored.event.event_id}"


def _refusal(stored: StoredEvent, reason: str, now: datetime) -> RefusedDelivery:
    event = stored.event
    return RefusedDelivery(
        event.conn_id,
        REJECTED,
        reason,
        1,
        now,
        now,
        size=len(event.body),
        seq=stored.seq,
        entity=event.entity,
        action=event.action,
        entity_id=event.entity_id,
        event_id=event.event_id,
    )
