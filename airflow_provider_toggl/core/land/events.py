"""Bodies of webhooks to batches: the same rows, with the same versions, as pages of the same objects would give.

An event is one more observation of its object. ``updated_at`` is the payload's ``at`` and ``observed_at`` the moment of
the event by Toggl's clock, never that of its delivery, which retries make late: what was sent again may not look new.
A deletion may come with the whole object, with ids only or with nothing; then it brings ``deleted_at`` and no version
that could win over fields that are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from operator import attrgetter
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.land.columns import (
    ARROW_SCHEMAS,
    INSTANT,
    Columns,
    count_odd_durations,
    own_arrays,
    whole_seconds,
)
from airflow_provider_toggl.core.land.event_actors import find_actor
from airflow_provider_toggl.core.land.event_shapes import EVENTS, LEGACY, PASSED_OVER, EventShape
from airflow_provider_toggl.core.land.json_text import read_reason, repair_surrogates
from airflow_provider_toggl.core.land.records import RAW_LIMIT, Batch, Rejected, Told
from airflow_provider_toggl.core.land.rows import Unreadable, tidy_object

STRAYS = "events"
"""The stream under which events are rejected that belong to none."""

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, MalformedAnswer)
_NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Delivered(Protocol):
    """An event as a store keeps it: the body, and what was read from it when it came. Times are aware, in UTC."""

    @property
    def body(self) -> bytes:
        """The bytes that were delivered."""

    @property
    def received_at(self) -> datetime:
        """When, by this machine's clock."""

    @property
    def workspace_id(self) -> int | None:
        """The workspace that it speaks of."""

    @property
    def entity(self) -> str | None:
        """Toggl's word for what changed."""

    @property
    def action(self) -> str | None:
        """``created``, ``updated`` or ``deleted``."""

    @property
    def entity_id(self) -> int | None:
        """The id of what changed."""

    @property
    def created_at(self) -> datetime | None:
        """When it happened, by Toggl's clock."""

    @property
    def oddity(self) -> str | None:
        """What is unusual about it."""


@dataclass(frozen=True)
class Decoded:
    """What events give.

    :param batches: the rows of each stream, and the events that could not be read.
    :param passed_over: events of entities that no table keeps.
    """

    batches: tuple[Batch, ...]
    passed_over: int


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One observation.

    :param payload: the whole object; None where only its deletion is told.
    :param observed_at: when the payload stood.
    :param deleted_at: when it was deleted, None while it exists.
    :param actor_id: who did it, of time entries alone; None where it is not known.
    """

    id: int
    workspace_id: int
    payload: Any
    observed_at: datetime
    deleted_at: datetime | None
    event: Delivered
    actor_id: int | None = None


@dataclass
class _Group:
    shape: EventShape
    rows: list[_Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def decode_events(events: Iterable[Delivered]) -> Decoded:
    """Read events, in any order: what can be landed becomes rows, what cannot is kept with the reason."""
    groups: dict[str, _Group] = {}
    strays: list[Rejected] = []
    passed_over = 0
    for event in events:
        entity = event.entity
        shape = EVENTS.get(entity or "")
        if shape is None:
            if entity in PASSED_OVER:
                passed_over += 1
            else:
                strays.append(_reject(STRAYS, event, f"metadata.model: {_quoted(entity)} is no entity that is known"))
            continue
        group = groups.get(shape.stream) or groups.setdefault(shape.stream, _Group(shape))
        try:
            group.rows.append(_read(shape, event))
        except (Unreadable, *_UNDECODABLE) as error:
            group.rejected.append(_reject(shape.stream, event, read_reason(error)))
    batches = [_build_batch(group) for group in groups.values()]
    if strays:
        # They have no table, but a batch to travel in.
        batches.append(Batch("time_entries", ARROW_SCHEMAS["time_entries"].empty_table(), tuple(strays)))
    return Decoded(tuple(batches), passed_over)


def _read(shape: EventShape, event: Delivered) -> _Row:
    """Read an event of an entity that has a table.

    :raises Unreadable: it lacks what it cannot be landed without.
    :raises msgspec.DecodeError: a field is of another type, or out of all range.
    :raises MalformedAnswer: it is not JSON.
    """
    if event.workspace_id is None:
        raise Unreadable("workspace_id: missing")
    if event.oddity is not None and "more than once" in event.oddity:
        raise Unreadable(event.oddity)
    if event.action == "deleted":
        return _read_deleted(shape, event, event.workspace_id)
    if event.action not in ("created", "updated"):
        raise Unreadable(f"metadata.action: {_quoted(event.action)} is no action that is known")
    document = _decode(shape, event.body)
    payload = document.payload
    if payload is None:
        raise Unreadable("payload: missing")
    missing = _missing(shape, payload)
    if missing is not None:
        raise Unreadable(f"payload.{missing}: missing")
    observed_at = event.created_at or _instant(payload.at, "payload.at")
    told = payload.server_deleted_at or payload.deleted_at
    deleted_at = None if told is None else _instant(told, "payload.server_deleted_at")
    actor_id = _actor(shape, document)
    return _Row(_key(shape, event, payload), event.workspace_id, payload, observed_at, deleted_at, event, actor_id)


def _read_deleted(shape: EventShape, event: Delivered, workspace_id: int) -> _Row:
    """Read a deletion, for which id and time are enough, whatever else the body has or lacks."""
    payload = actor_id = None
    with suppress(*_UNDECODABLE):
        document = _decode(shape, event.body)
        payload, actor_id = document.payload, _actor(shape, document)
    deleted_at = _deletion(event, payload)
    key = _key(shape, event, payload)
    is_whole = (
        payload is not None
        and event.created_at is not None
        and (payload.at is not None or not shape.is_dated)
        and _missing(shape, payload) is None
    )
    if not is_whole:
        return _Row(key, workspace_id, None, _NEVER, deleted_at, event, actor_id)
    return _Row(key, workspace_id, payload, event.created_at or deleted_at, deleted_at, event, actor_id)


def _deletion(event: Delivered, payload: Any) -> datetime:
    """Return when a deletion was, as late as it is told: the payload has whole seconds, and an update may have come
    within the same one.
    """
    told = None if payload is None else payload.server_deleted_at or payload.deleted_at
    moments = [] if event.created_at is None else [event.created_at]
    if told is not None:
        with suppress(ValueError):
            moments.append(parse_instant(told))
    return max(moments) if moments else _sent_at(event)


def _sent_at(event: Delivered) -> datetime:
    """Return when an event was sent, by Toggl's clock, or else when it came."""
    try:
        document = msgspec.json.decode(event.body)
        return parse_instant(document["timestamp"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        return event.received_at


def _decode(shape: EventShape, body: bytes) -> Any:
    try:
        return shape.decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        return shape.decoder.decode(repair_surrogates(STRAYS, body))


def _actor(shape: EventShape, document: Any) -> int | None:
    return find_actor(document.metadata, document.creator_id) if shape.stream == "time_entries" else None


def _missing(shape: EventShape, payload: Any) -> str | None:
    for name in shape.required:
        if getattr(payload, name) is None and getattr(payload, LEGACY.get(name, name), None) is None:
            return name
    return None


def _key(shape: EventShape, event: Delivered, payload: Any) -> int:
    key = event.entity_id
    if shape.stream == "users":
        # The id is that of the membership; users are known everywhere else by their own.
        key = None if payload is None else payload.uid if payload.user_id is None else payload.user_id
    if key is None:
        raise Unreadable("payload.user_id: missing" if shape.stream == "users" else "payload.id: missing")
    return int(key)


def _build_batch(group: _Group) -> Batch:
    stream = group.shape.stream
    whole = [row for row in group.rows if row.payload is not None]
    bare = [row for row in group.rows if row.payload is None]
    rejected = list(group.rejected)
    try:
        table = _build_whole(group.shape, whole)
    except pa.ArrowInvalid:
        whole = _tidied(stream, whole, rejected)
        table = _build_whole(group.shape, whole)
    if bare:
        table = pa.concat_tables([table, _build_table(stream, bare, {}, pa.nulls(len(bare), INSTANT))])
    if stream != "time_entries":
        return Batch(stream, table, tuple(rejected))
    return Batch(stream, table, tuple(rejected), count_odd_durations(table), _build_told([*whole, *bare]))


def _build_told(rows: Sequence[_Row]) -> Told:
    return Told(
        pa.array([row.actor_id for row in rows], pa.int64()), pa.array([row.event.action for row in rows], pa.string())
    )


def _tidied(stream: str, rows: Sequence[_Row], rejected: list[Rejected]) -> list[_Row]:
    """Return the rows whose instants are such, in the form that the vectorised parser takes."""
    kept = []
    for row in rows:
        try:
            tidy_object(stream, row.payload)
        except Unreadable as error:
            rejected.append(_reject(stream, row.event, f"payload.{error}"))
        else:
            kept.append(row)
    return kept


def _build_whole(shape: EventShape, rows: Sequence[_Row]) -> pa.Table:
    """Return the table of rows with payloads.

    :raises pyarrow.ArrowInvalid: an instant is in a form that the vectorised parser does not take.
    """
    size = len(rows)
    if not size:
        return ARROW_SCHEMAS[shape.stream].empty_table()
    payloads = [row.payload for row in rows]
    columns: Columns = {name: list(map(attrgetter(name), payloads)) for name in shape.columns}
    for name in LEGACY.keys() & columns.keys():
        if None in columns[name]:
            older = map(attrgetter(LEGACY[name]), payloads)
            columns[name] = [b if a is None else a for a, b in zip(columns[name], older, strict=True)]
    updated_at = whole_seconds(list(map(attrgetter("at"), payloads)) if shape.is_dated else None, size)
    return _build_table(shape.stream, rows, columns, updated_at)


def _build_table(stream: str, rows: Sequence[_Row], columns: Columns, updated_at: pa.Array) -> pa.Table:
    columns["id"] = [row.id for row in rows]
    columns["workspace_id"] = [row.workspace_id for row in rows]
    arrays = own_arrays(stream, columns, len(rows))
    arrays["updated_at"] = updated_at
    observed_at = arrays["observed_at"] = pa.array([row.observed_at for row in rows], INSTANT)
    deleted_at = arrays["deleted_at"] = pa.array([row.deleted_at for row in rows], INSTANT)
    arrays["seen_at"] = pc.if_else(deleted_at.is_null(), observed_at, pa.scalar(None, INSTANT))
    arrays["absent_at"] = pa.nulls(len(rows), INSTANT)
    schema = ARROW_SCHEMAS[stream]
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def _instant(text: str | None, name: str) -> datetime:
    if text is None:
        raise Unreadable(f"{name}: missing, and so is created_at")
    try:
        return parse_instant(text)
    except ValueError as error:
        raise Unreadable(f"{name}: {error}") from None


def _reject(stream: str, event: Delivered, reason: str) -> Rejected:
    text = event.body.decode(errors="replace")[:RAW_LIMIT]
    # Where nobody says whose it is, it is kept as that of workspace 0, which nobody has.
    return Rejected(stream, event.workspace_id or 0, text, reason, event.created_at or event.received_at)


def _quoted(word: str | None) -> str:
    return "a missing word" if word is None else repr(word)
