"""Versions of time entries, built from observations: who changed what, and when.

A version is a state in which an entry was observed, or that it was gone. Versions form a set, so the order and number
of observations does not matter. A view derives the changes between two of them; a late version refines the changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.column_types import INSTANT, whole_seconds
from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.tables.schemas import HISTORY_FIELDS, VERSIONS, Column

STATE, DELETED, ABSENT = "state", "deleted", "absent"

_ARROW = {"bigint": pa.int64(), "boolean": pa.bool_(), "text": pa.string(), "word": pa.string(), "timestamp": INSTANT}
SCHEMA = pa.schema([pa.field(column.name, _ARROW[column.type]) for column in VERSIONS.columns])
_EPOCH = pa.scalar(0, pa.int64()).cast(INSTANT)
_ACTIONS = pa.array(["created", "updated"])
_SEPARATOR = "|"


def build_versions(batches: Iterable[RecordBatch]) -> pa.Table:
    """Return the versions in batches of time entries, each once."""
    whole = [batch for batch in batches if batch.rows]
    if not whole:
        return SCHEMA.empty_table()
    table = pa.concat_tables([batch.table for batch in whole]).combine_chunks()
    size = table.num_rows
    actors, codes, is_of_event = _attribution_of(whole)
    is_change = codes.is_valid()
    deleted_at, absent_at = (_whole(table[name]) for name in _GONE.values())
    parts = [_states(table, deleted_at, pc.if_else(is_change, actors, None), codes)]
    if deleted_at.null_count < size:
        parts.append(_gone(table, DELETED, deleted_at, pc.if_else(is_change, None, actors), is_of_event))
    if absent_at.null_count < size:
        parts.append(_gone(table, ABSENT, absent_at, pa.nulls(size, pa.int64()), None))
    return _collapse(pa.concat_tables(parts))


def _attribution_of(batches: Sequence[RecordBatch]) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return for each row who did it, the index of its action in ``_ACTIONS``, and whether it came from an event."""
    actors, codes, is_of_event = [], [], []
    for batch in batches:
        who, size = batch.attribution, batch.rows
        actors.append(pa.nulls(size, pa.int64()) if who is None else who.actor_ids)
        codes.append(pa.nulls(size, pa.int32()) if who is None else pc.index_in(who.actions, value_set=_ACTIONS))
        is_of_event.append(pa.repeat(pa.scalar(who is not None), size))
    return pa.concat_arrays(actors), pa.concat_arrays(codes), pa.concat_arrays(is_of_event)


def build_stored(rows: pa.Table) -> pa.Table:
    """Return the versions of stored time entries, for a history that begins with them.

    :param rows: columns of ``time_entries``, as the engine returns them: without lists or booleans where it has none.
    """
    rows = _as_decoded(rows)
    seen, deleted_at = _whole(rows["seen_at"]), _whole(rows["deleted_at"])
    is_back = pc.fill_null(pc.greater(seen, deleted_at), False)
    size = rows.num_rows
    nobody = pa.nulls(size, pa.int64())
    states = _states(rows, pc.if_else(is_back, None, deleted_at), nobody, pa.nulls(size, pa.int32()))
    gone = [_gone(rows, kind, _whole(rows[name]), nobody, None) for kind, name in _GONE.items()]
    return _collapse(pa.concat_tables([states, *gone]))


_GONE = {DELETED: "deleted_at", ABSENT: "absent_at"}


def _states(table: pa.Table, deleted_at: pa.Array, actors: pa.Array, codes: pa.Array) -> pa.Table:
    """Return rows as states; for an entry that is gone, the state when it went.

    :param codes: indexes in ``_ACTIONS`` of the rows' events; null for rows of no event or of a deletion.
    """
    updated_at, observed_at = (_whole(table[name]) for name in ("updated_at", "observed_at"))
    is_state = pc.and_(
        pc.and_(updated_at.is_valid(), _whole(table["start"]).is_valid()), pc.greater(observed_at, _EPOCH)
    )
    reported_at = pc.if_else(codes.is_valid(), observed_at, None)
    if deleted_at.null_count < len(deleted_at):
        updated_at = pc.if_else(
            pc.fill_null(pc.greater(updated_at, deleted_at), False), whole_seconds(deleted_at), updated_at
        )
        observed_at = pc.if_else(pc.fill_null(pc.greater(observed_at, deleted_at), False), deleted_at, observed_at)
    columns = {
        "time_entry_id": _whole(table["id"]),
        "workspace_id": _whole(table["workspace_id"]),
        "updated_at": updated_at,
        **_normalised(table),
        "first_observed_at": observed_at,
        "last_observed_at": observed_at,
        "told_at": reported_at,
        "told_as": _ACTIONS.take(codes),
        "actor_id": actors,
    }
    return _build(columns, STATE, is_state)


def _gone(table: pa.Table, kind: str, moments: pa.Array, actors: pa.Array, is_of_event: pa.Array | None) -> pa.Table:
    columns = {
        "time_entry_id": _whole(table["id"]),
        "workspace_id": _whole(table["workspace_id"]),
        "updated_at": whole_seconds(moments),
        "first_observed_at": moments,
        "last_observed_at": moments,
        "told_at": pa.nulls(len(moments), INSTANT) if is_of_event is None else pc.if_else(is_of_event, moments, None),
        "actor_id": actors,
    }
    return _build(columns, kind, moments.is_valid())


def _build(columns: dict[str, pa.Array], kind: str, is_wanted: pa.Array) -> pa.Table:
    if is_wanted.true_count < len(is_wanted):
        columns = {name: column.filter(is_wanted) for name, column in columns.items()}
    size = is_wanted.true_count
    columns["kind"] = pa.repeat(pa.scalar(kind), size)
    columns["id"] = _digests(columns, size)
    return pa.table(
        [columns[field.name] if field.name in columns else pa.nulls(size, field.type) for field in SCHEMA],
        schema=SCHEMA,
    )


def _normalised(table: pa.Table) -> dict[str, pa.Array]:
    """Return an entry's fields in one form for reports, v9 and webhooks."""
    columns = {column.name: _whole(table[column.name]) for column in HISTORY_FIELDS}
    # Reports may write "" where v9 writes null.
    description = columns["description"]
    columns["description"] = pc.if_else(pc.equal(description, ""), None, description)
    columns["tag_ids"] = _tag_texts(columns["tag_ids"])
    for name in ("start", "stop"):
        columns[name] = whole_seconds(columns[name])
    # Without a stop, Toggl sends 0 in the first second or for an entry that never ran, else a negative number.
    if columns["stop"].null_count:
        columns["duration"] = pc.if_else(columns["stop"].is_null(), None, columns["duration"])
    return columns


def _tag_texts(lists: pa.Array) -> pa.Array:
    """Return lists of tags as sorted JSON texts, all at once."""
    values, sizes = lists.flatten(), pc.fill_null(pc.list_value_length(lists), 0)
    if not len(values):
        return pa.repeat(pa.scalar("[]"), len(lists))
    keyed = pa.table({"row": pc.list_parent_indices(lists), "tag": values})
    ordered = values.take(pc.sort_indices(keyed, sort_keys=[("row", "ascending"), ("tag", "ascending")]))
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(sizes)])
    texts = pa.ListArray.from_arrays(offsets, ordered.cast(pa.string()))
    return pc.binary_join_element_wise("[", pc.binary_join(texts, ", "), "]", "")


def _digests(columns: dict[str, pa.Array], size: int) -> pa.Array:
    """Return a 64-bit hash for each row, equal for equal versions.

    Among ten million versions, the chance that two have the same hash is one in 400,000.
    """
    if not size:
        return pa.array([], pa.int64())
    # The only free text is the description, and it is the last: no two contents are joined to the same text.
    names = ("time_entry_id", "updated_at", "kind", *_DIGESTED)
    texts = [_text(columns[name]) for name in names if name in columns]
    joined = pc.binary_join_element_wise(*texts, _SEPARATOR).cast(pa.binary())
    blake = hashlib.blake2b
    digests = b"".join([blake(text, digest_size=8).digest() for text in joined.to_pylist()])
    return pa.Array.from_buffers(pa.int64(), size, [None, pa.py_buffer(digests)])


_DIGESTED = (*(column.name for column in HISTORY_FIELDS if column.name != "description"), "description")


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    return pc.fill_null(column.cast(pa.string()), "")


def _collapse(table: pa.Table) -> pa.Table:
    """Return one row for each version, with the earliest or the latest value of what is not its content."""
    ids = table["id"]
    if pc.count_distinct(ids).as_py() == len(ids):
        return table
    keyed = table.select(["id"]).append_column("row", pa.array(range(len(ids)), pa.int64()))
    kept = ["workspace_id", "first_observed_at", "last_observed_at", "told_at", "actor_id"]
    for name in kept:
        keyed = keyed.append_column(name, table[name])
    keyed = keyed.append_column("told_as", pc.index_in(table["told_as"], value_set=_ACTIONS))
    found = keyed.group_by("id").aggregate(
        [("row", "min"), *((name, "max" if name == "last_observed_at" else "min") for name in (*kept, "told_as"))]
    )
    rows = table.take(found["row_min"])
    columns = {name: found[f"{name}_{'max' if name == 'last_observed_at' else 'min'}"] for name in kept}
    columns["told_as"] = _ACTIONS.take(_whole(found["told_as_min"]))
    return pa.table([columns.get(name, rows[name]) for name in SCHEMA.names], schema=SCHEMA)


def _whole(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _as_decoded(rows: pa.Table) -> pa.Table:
    """Return stored rows in the types of decoded ones."""
    columns: dict[str, Any] = {name: rows[name] for name in rows.column_names}
    for name in STORED_COLUMNS:
        column = columns[name]
        if name == "tag_ids" and not pa.types.is_list(column.type):
            lists = [msgspec.json.decode(text) if text else [] for text in column.to_pylist()]
            columns[name] = pa.chunked_array([pa.array(lists, pa.list_(pa.int64()))])
        elif name == "billable":
            columns[name] = column.cast(pa.bool_())
        elif name in _INSTANTS:
            columns[name] = column.cast(INSTANT)
    return pa.table(columns)


def _names(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


_INSTANTS = ("start", "stop", "updated_at", "observed_at", "seen_at", "deleted_at", "absent_at")
STORED_COLUMNS = ("id", "workspace_id", *_names(HISTORY_FIELDS), *_INSTANTS[2:])
"""The columns of ``time_entries`` that :func:`build_stored` reads."""
