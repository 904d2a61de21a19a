"""Webhook bodies decoded to record batches: the same rows, with the same versions, as pages of the same objects give.

An event is one more observation of its object. ``updated_at`` is the payload's ``at``, and ``observed_at`` the time of
the event by Toggl's clock. It is never the time of the delivery, which retries make late: an event that was sent again
must not look new. A deletion may come with the whole object, with ids only, or with nothing. Without the whole object
it brings ``deleted_at`` and no version that could win over known fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa

from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.json_text import decode_text, read_json
from airflow_provider_toggl.core.load.decode.column_types import INSTANT, Unreadable, parse_timestamp, shown
from airflow_provider_toggl.core.load.decode.columns import (
    ARROW_SCHEMAS,
    NOT_CONVERTED,
    Arrays,
    arrays_of,
    build_table,
    convert_objects,
    count_odd_durations,
)
from airflow_provider_toggl.core.load.decode.event_shapes import (
    EVENT_SHAPES,
    SKIPPED_ENTITIES,
    EventShape,
    find_actor,
)
from airflow_provider_toggl.core.load.decode.records import RAW_LIMIT, Attribution, RecordBatch, RejectedRecord
from airflow_provider_toggl.core.load.decode.rows import read_object
from airflow_provider_toggl.core.load.decode.shapes import Field

UNKNOWN_ENTITIES = "events"
"""The stream of rejected events whose entity belongs to none."""

_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PAYLOADS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)


class DeliveredEvent(Protocol):
    """An event as a store keeps it: the body, and fields that the receiver read from it. Times are aware, in UTC."""

    @property
    def body(self) -> bytes:
        """The delivered bytes."""

    @property
    def received_at(self) -> datetime:
        """When it was received, by this machine's clock."""

    @property
    def workspace_id(self) -> int | None:
        """The workspace that it is about."""

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
    def anomaly(self) -> str | None:
        """What is unusual about it."""


@dataclass(frozen=True)
class DecodedEvents:
    """Decoded events.

    :param batches: the rows and rejected events of each stream. Events of unknown entities are rejected in a batch of
        ``UNKNOWN_ENTITIES``, which has no rows.
    :param skipped: the number of events of entities that no table keeps.
    """

    batches: tuple[RecordBatch, ...]
    skipped: int


class _Row(msgspec.Struct, frozen=True, gc=False):
    """One observation.

    :param payload: the whole object: decoded, or parsed to its columns' values; None if only its deletion is known.
    :param observed_at: when the payload was current.
    :param deleted_at: when the object was deleted, None while it exists.
    :param actor_id: the user who did it, for time entries only; None if not known.
    """

    id: int
    workspace_id: int
    payload: Any
    observed_at: datetime
    deleted_at: datetime | None
    event: DeliveredEvent
    seq: int | None
    actor_id: int | None = None


class _Content(NamedTuple):
    """The content of an event's body.

    :param payload: as in ``_Row``.
    :param actor_id: as in ``_Row``.
    :param values_of: returns the values of some columns of the payload.
    """

    payload: Any
    actor_id: int | None
    values_of: Callable[[Any, tuple[Field, ...]], list[Any]]


@dataclass
class _Group:
    shape: EventShape
    rows: list[_Row] = field(default_factory=list)
    rejected: list[RejectedRecord] = field(default_factory=list)


def decode_events(events: Iterable[DeliveredEvent], seqs: Iterable[int] | None = None) -> DecodedEvents:
    """Decode events, in any order, to rows and rejected records.

    :param seqs: the events' numbers in their store, for the rejected records.
    """
    groups: dict[str, _Group] = {}
    unknown: list[RejectedRecord] = []
    skipped = 0
    numbers = iter(seqs) if seqs is not None else None
    for event in events:
        seq = None if numbers is None else next(numbers)
        entity = event.entity
        shape = EVENT_SHAPES.get(entity or "")
        if shape is None:
            if entity in SKIPPED_ENTITIES:
                skipped += 1
            else:
                reason = f"metadata.model: {_quoted(entity)} is not a known entity"
                unknown.append(_reject(UNKNOWN_ENTITIES, event, seq, reason))
            continue
        group = groups.get(shape.stream) or groups.setdefault(shape.stream, _Group(shape))
        try:
            group.rows.append(_read(shape, event, seq))
        except Unreadable as error:
            group.rejected.append(_reject(shape.stream, event, seq, str(error)))
    batches = [_build_batch(group) for group in groups.values()]
    if unknown:
        batches.append(RecordBatch(UNKNOWN_ENTITIES, pa.table({}), tuple(unknown)))
    return DecodedEvents(tuple(batches), skipped)


def _read(shape: EventShape, event: DeliveredEvent, seq: int | None) -> _Row:
    """Decode an event of an entity that has a table, or raise ``Unreadable`` with the field and why."""
    try:
        document: Any = shape.decoder.decode(event.body)
        actor_id = find_actor(document.metadata, document.creator_id) if shape.stream == "time_entries" else None
        return _build_row(shape, event, seq, _Content(document.payload, actor_id, _decoded_values))
    except (*_UNDECODABLE, Unreadable):
        return _parse(shape, event, seq)


def _parse(shape: EventShape, event: DeliveredEvent, seq: int | None) -> _Row:
    """Read an event field by field, to find out what is wrong with one that could not be decoded."""
    content, problem = _parse_body(shape, event.body)
    if problem is not None and event.action in ("created", "updated"):
        raise problem
    try:
        return _build_row(shape, event, seq, content)
    except Unreadable as error:
        raise problem or error from None


def _parse_body(shape: EventShape, body: bytes) -> tuple[_Content, Unreadable | None]:
    """Return the content of an event, and what is wrong with its payload if it cannot be read."""
    try:
        document = read_json(body)
    except ValueError as error:
        return _Content(None, None, _parsed_values), Unreadable(f"the body is not JSON: {error}")
    if not isinstance(document, dict):
        return _Content(None, None, _parsed_values), Unreadable("the body is not an object")
    actor_id = (
        find_actor(document.get("metadata"), document.get("creator_id")) if shape.stream == "time_entries" else None
    )
    payload = document.get("payload")
    if payload is None:
        return _Content(None, actor_id, _parsed_values), None
    if not isinstance(payload, dict):
        problem = Unreadable(f"payload: {shown(payload)} is not an object")
        return _Content(None, actor_id, _parsed_values), problem
    try:
        # A payload may lack its id, which is also in the metadata.
        row = read_object(shape.payload, payload, _payload_text(shape, body), needs_all=False)
    except Unreadable as error:
        return _Content(None, actor_id, _parsed_values), Unreadable(f"payload.{error}")
    return _Content(row, actor_id, _parsed_values), None


def _payload_text(shape: EventShape, body: bytes) -> bytes | None:
    if shape.payload.json_struct is None:
        return None
    try:
        return bytes(_PAYLOADS.decode(body)["payload"])
    except (*_UNDECODABLE, KeyError):
        return None


def _build_row(shape: EventShape, event: DeliveredEvent, seq: int | None, content: _Content) -> _Row:
    """Return the observation that an event is, or raise ``Unreadable``."""
    if event.anomaly is not None and "more than once" in event.anomaly:
        raise Unreadable(event.anomaly)
    if event.action not in ("created", "updated", "deleted"):
        raise Unreadable(f"metadata.action: {_quoted(event.action)} is not a known action")
    payload = content.payload
    key = workspace_id = updated_at = deleted_at = None
    if payload is not None:
        key, workspace_id, updated_at, deleted_at = content.values_of(payload, shape.identity)
    workspace_id = event.workspace_id if workspace_id is None else workspace_id
    if workspace_id is None:
        raise Unreadable("workspace_id: missing")
    times = _find_times(shape, event, content, updated_at, None if deleted_at is None else _moment(deleted_at))
    key = _find_key(shape, event, key)
    return _Row(
        key,
        workspace_id,
        payload if times.is_whole else None,
        times.observed_at,
        times.deleted_at,
        event,
        seq,
        content.actor_id,
    )


class _Times(NamedTuple):
    """When an event's payload was current, when its object was deleted, and whether the payload is the whole object."""

    observed_at: datetime
    deleted_at: datetime | None
    is_whole: bool = True


def _find_times(
    shape: EventShape, event: DeliveredEvent, content: _Content, updated_at: Any, deleted_at: datetime | None
) -> _Times:
    """Return the times of an observation; for a deletion, id and time are enough, whatever else the body has.

    :param deleted_at: the time of deletion in the payload.
    """
    if event.action != "deleted":
        if content.payload is None:
            raise Unreadable("payload: missing")
        lacking = None if deleted_at else _find_lacking(shape, content)
        if lacking is not None:
            raise Unreadable(f"payload.{lacking}: missing")
        observed_at = event.created_at or (None if updated_at is None else _moment(updated_at))
        if observed_at is None:
            raise Unreadable("payload.at: missing, and so is created_at")
        return _Times(observed_at, deleted_at)
    # The payload has whole seconds, and an update may have come within the same one.
    known = [moment for moment in (event.created_at, deleted_at) if moment is not None]
    deleted_at = max(known) if known else _sent_at(event)
    if event.created_at is None or (updated_at is None and shape.is_dated):
        return _Times(_NEVER, deleted_at, is_whole=False)
    if content.payload is None or _find_lacking(shape, content) is not None:
        return _Times(_NEVER, deleted_at, is_whole=False)
    return _Times(event.created_at, deleted_at)


def _find_key(shape: EventShape, event: DeliveredEvent, key: int | None) -> int:
    if key is None and shape.stream != "users":
        key = event.entity_id
    if key is None:
        raise Unreadable(f"payload.{shape.identity[0].keys[0]}: missing")
    return key


def _find_lacking(shape: EventShape, content: _Content) -> str | None:
    values = content.values_of(content.payload, shape.required)
    return shape.required[values.index(None)].keys[0] if None in values else None


def _decoded_values(payload: Any, wanted: tuple[Field, ...]) -> list[Any]:
    values = []
    for each in wanted:
        value = None
        for key in each.keys:
            value = getattr(payload, key)
            if value is not None:
                break
        values.append(value)
    return values


def _parsed_values(payload: dict[str, Any], wanted: tuple[Field, ...]) -> list[Any]:
    return [payload[each.column] for each in wanted]


def _moment(value: str | datetime) -> datetime | None:
    """Return an instant that is parsed already, or parse a decoded one."""
    if isinstance(value, datetime):
        return value
    try:
        return parse_timestamp(value)
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _sent_at(event: DeliveredEvent) -> datetime:
    """Return when an event was sent, by Toggl's clock, or else when it was received."""
    try:
        return parse_instant(read_json(event.body)["timestamp"])
    except (KeyError, TypeError, ValueError):
        return event.received_at


def _build_batch(group: _Group) -> RecordBatch:
    shape = group.shape
    rejected = list(group.rejected)
    decoded = [row for row in group.rows if isinstance(row.payload, msgspec.Struct)]
    parsed = [row for row in group.rows if isinstance(row.payload, dict)]
    bare = [row for row in group.rows if row.payload is None]
    try:
        arrays = convert_objects(shape.payload, [row.payload for row in decoded]) if decoded else {}
    except NOT_CONVERTED:
        for row in decoded:
            try:
                again = _parse(shape, row.event, row.seq)
            except Unreadable as error:
                rejected.append(_reject(shape.stream, row.event, row.seq, str(error)))
            else:
                (bare if again.payload is None else parsed).append(again)
        arrays, decoded = {}, []
    tables = [
        _build_table(shape, decoded, arrays),
        _build_table(shape, parsed, arrays_of(shape.stream, [row.payload for row in parsed])),
        _build_table(shape, bare, {}),
    ]
    table = pa.concat_tables([table for table in tables if table.num_rows] or tables[:1])
    if shape.stream != "time_entries":
        return RecordBatch(shape.stream, table, tuple(rejected))
    rows = [*decoded, *parsed, *bare]
    attribution = Attribution(
        pa.array([row.actor_id for row in rows], pa.int64()), pa.array([row.event.action for row in rows], pa.string())
    )
    return RecordBatch(shape.stream, table, tuple(rejected), count_odd_durations(table), attribution)


def _build_table(shape: EventShape, rows: Sequence[_Row], arrays: Arrays) -> pa.Table:
    """Return the table of rows; ``arrays`` are the columns of their payloads."""
    if not rows:
        return ARROW_SCHEMAS[shape.stream].empty_table()
    own = {name: array for name, array in arrays.items() if shape.is_dated or name != "at"}
    own["id"] = pa.array([row.id for row in rows], pa.int64())
    workspaces = pa.array([row.workspace_id for row in rows], pa.int64())
    observed_at = pa.array([row.observed_at for row in rows], INSTANT)
    deleted_at = pa.array([row.deleted_at for row in rows], INSTANT)
    return build_table(shape.stream, own, workspace_id=workspaces, observed_at=observed_at, deleted_at=deleted_at)


def _reject(stream: str, event: DeliveredEvent, seq: int | None, reason: str) -> RejectedRecord:
    text = decode_text(event.body)[:RAW_LIMIT]
    # Without a workspace it is stored as one of workspace 0, which does not exist.
    return RejectedRecord(stream, event.workspace_id or 0, text, reason, event.created_at or event.received_at, seq)


def _quoted(word: str | None) -> str:
    return "nothing" if word is None else repr(word)
