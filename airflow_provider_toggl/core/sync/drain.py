"""One drain: events of the store, landed from the cursor that is in the warehouse and moves in their transaction.

The only place where the event store and landing meet. Asks nothing of Toggl. Whatever stops it, what was landed stays,
and the next one goes on behind it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import EventNotFound
from airflow_provider_toggl.core.events.lag import measure_store
from airflow_provider_toggl.core.events.logbook import REJECTED, Refused, reader_name
from airflow_provider_toggl.core.events.store import EventStore, NewEvent, StoredEvent
from airflow_provider_toggl.core.load.changes import Changes
from airflow_provider_toggl.core.load.measuring import measure_landing
from airflow_provider_toggl.core.load.target import Landed, Progress, Target
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.events import Decoded

log = logging.getLogger(__name__)

STREAM = "events"
#: So many events, or so many bytes of them, make a batch: enough to merge fast, and bounded in memory.
BATCH_EVENTS = 20_000
BATCH_BYTES = 32 * 2**20
#: Read in one go from the store; bodies may be large.
CHUNK = 500
LOG_EVERY = 10.0
#: Rejected events of a batch that the logbook is told of.
MOST_TOLD = 100


@dataclass(frozen=True)
class DrainRequest:
    """What a drain wants.

    :param store: a name of the store, so that cursors of different stores do not mix.
    :param consumer: the name under which the store keeps what this one has not landed yet.
    :param conn_id: only events of this connection; None: of all.
    :param workspace_id: only events of this workspace; None: of all.
    :param max_events: stop after about so many; None: all that is there when it begins.
    :param note_changes: find out which entities and days changed, for those who wait for them.
    """

    store: str
    consumer: str
    conn_id: str | None = None
    workspace_id: int | None = None
    max_events: int | None = None
    note_changes: bool = False

    @property
    def scope(self) -> str:
        """The scope of the cursor: the store, and which of its events."""
        return self.store + self._only()

    @property
    def reader(self) -> str:
        """The name that the store knows: that of the consumer, and which events it lands."""
        return self.consumer + self._only()

    def _only(self) -> str:
        only = {"conn_id": self.conn_id, "workspace_id": self.workspace_id}
        words = [f"{name}={value}" for name, value in only.items() if value is not None]
        return "?" + "&".join(words) if words else ""

    def as_note(self) -> dict[str, Any]:
        """Return what those who look are told of this reader."""
        return {
            "kind": "landing",
            "warehouse": self.consumer,
            "conn_id": self.conn_id,
            "workspace_id": self.workspace_id,
        }

    def wants(self, event: NewEvent) -> bool:
        """Whether an event is one of those to land."""
        return self.conn_id in (None, event.conn_id) and self.workspace_id in (None, event.workspace_id)


@dataclass
class DrainSummary:
    """What a drain did.

    :param events: events that were wanted.
    :param streams: how many of them were of each stream.
    :param inserted: rows that are new; several events of one row count once a batch.
    :param unchanged: events that told nothing newer.
    :param rejected: events that are kept in ``rejected_records``.
    :param passed_over: events of entities that no table keeps.
    :param last_seq: everything of the store up to here is landed.
    :param restarted: the store was another one than before, and was read from its beginning.
    """

    events: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    passed_over: int = 0
    last_seq: int = 0
    restarted: bool = False
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as XCom keeps it."""
        return asdict(self)

    def __str__(self) -> str:
        """Say it in a line."""
        streams = ", ".join(f"{count:,} of {name}" for name, count in sorted(self.streams.items()))
        return (
            f"{plural(self.events, 'event')} up to {self.last_seq:,} in {self.seconds:.1f} s "
            f"({streams or 'nothing to land'}): "
            f"{plural(self.inserted, 'row')} inserted, {self.updated:,} updated, "
            f"{plural(self.unchanged, 'event')} told nothing newer, "
            f"{self.rejected:,} rejected, {self.passed_over:,} passed over."
        )


class Drain:
    """Lands what is in a store and not yet in a warehouse.

    :param clock: time, as a seam.
    """

    def __init__(self, store: EventStore, target: Target, request: DrainRequest, *, clock: Clock | None = None) -> None:
        self._store = store
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self.summary = DrainSummary()
        self.changes = Changes()

    def run(self) -> DrainSummary:
        """Land everything up to the last event that is there now; return the summary.

        :raises TogglError: what was landed stays, and :attr:`summary` says how much that is.
        """
        with fields(stream=STREAM, by="drain"):
            return self._run()

    def _run(self) -> DrainSummary:
        started = self._clock.now()
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
        # A drain that was killed may have landed more than it told the store; and from its first moment on, retention
        # must wait for one that has landed nothing yet.
        self._store.commit(self._request.reader, begin)
        self._store.logbook.note(reader_name(self._request.reader), self._request.as_note())
        logged = started
        for events in _read_ahead(self._batches(begin, until)):
            self._land(events)
            now = self._clock.now()
            if now - logged >= LOG_EVERY:
                logged = now
                self._log_progress(begin, until, now - started)
            self._target.release()

    def _find_begin(self, last_seq: int) -> int:
        """Return the number behind which to go on: 0 in a store that is not the one whose cursor is known."""
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
            "The event store %s is not the one that was landed up to %d: it was replaced, or restored from a copy. "
            "All of it is landed again, which changes nothing that is known better.",
            self._request.store,
            seq,
        )
        return 0

    def _is_same(self, seq: int, event: str) -> bool:
        try:
            return _name_of(self._store.get(seq)) == event
        except EventNotFound:
            # Removed by retention, which lets go only of what was landed.
            return True

    def _batches(self, after: int, until: int) -> Iterator[list[StoredEvent]]:
        """Yield events in batches, each with its last one, whether it is wanted or not."""
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

    def _land(self, events: list[StoredEvent]) -> None:
        # Imported here: landing needs pyarrow, and importing this module must not.
        from airflow_provider_toggl.core.load.events import decode_events  # noqa: PLC0415 - landing needs pyarrow, importing this module must not

        chosen = [stored for stored in events if self._request.wants(stored.event)]
        wanted = [stored.event for stored in chosen]
        decoded = decode_events(wanted, [stored.seq for stored in chosen])
        note = self._request.note_changes
        began = time.monotonic()
        landed = self._target.land(decoded.batches, self._progress(events[-1]), note_days=note)
        measure_landing(landed, by="drain", stream=STREAM, seconds=time.monotonic() - began)
        if note:
            self.changes.note(decoded.batches)
            self.changes.note_days(landed)
        self._store.commit(self._request.reader, events[-1].seq)
        if wanted:
            metrics.DRAIN_DELAY.record(self._clock.now() - wanted[0].received_at.timestamp())
        self._tell_rejected(events, decoded)
        self._count(len(wanted), events[-1].seq, decoded, landed)

    def _tell_rejected(self, events: list[StoredEvent], decoded: Decoded) -> None:
        """Say in the logbook which events could not be landed; what could not be is in the warehouse too."""
        rejected = [one for batch in decoded.batches for one in batch.rejected][:MOST_TOLD]
        if not rejected:
            return
        stored = {each.seq: each for each in events}
        now = utc(self._clock.now())
        self._store.logbook.keep_refused(
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

    def _count(self, events: int, last_seq: int, decoded: Decoded, landed: Landed) -> None:
        summary = self.summary
        summary.events += events
        summary.last_seq = last_seq
        summary.inserted += landed.inserted
        summary.updated += landed.updated
        summary.unchanged += landed.unchanged
        summary.rejected += landed.rejected
        summary.passed_over += decoded.passed_over
        metrics.DRAINED.add(events - decoded.passed_over - landed.rejected, result="loaded")
        metrics.DRAINED.add(decoded.passed_over, result="skipped")
        metrics.DRAINED.add(landed.rejected, result="rejected")
        for batch in decoded.batches:
            if batch.rows:
                summary.streams[batch.stream] = summary.streams.get(batch.stream, 0) + batch.rows
            if batch.rejected:
                log.warning(
                    "%s up to %d cannot be landed; kept in rejected_records; the first: %s",
                    plural(len(batch.rejected), "event"),
                    last_seq,
                    batch.rejected[0].reason,
                )

    def _log_progress(self, begin: int, until: int, elapsed: float) -> None:
        done = self.summary.last_seq
        share = (done - begin) / (until - begin)
        log.info(
            "Events up to %s of %s: %s landed, %s rejected; about %.0f s to go.",
            f"{done:,}",
            f"{until:,}",
            f"{self.summary.events:,}",
            f"{self.summary.rejected:,}",
            elapsed / share - elapsed,
        )


def _read_ahead(batches: Iterator[list[StoredEvent]]) -> Iterator[list[StoredEvent]]:
    """Yield batches, reading the next one from the store while the warehouse is at work on this one."""
    with ThreadPoolExecutor(1, "toggl-read-ahead") as thread:
        following = thread.submit(next, batches, None)
        while (events := following.result()) is not None:
            following = thread.submit(next, batches, None)
            yield events


def _name_of(stored: StoredEvent) -> str:
    """Return what tells an event from that of the same number in another store."""
    return f"{stored.event.subscription_id}:{stored.event.event_id}"


def _refusal(stored: StoredEvent, reason: str, now: datetime) -> Refused:
    event = stored.event
    return Refused(
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
