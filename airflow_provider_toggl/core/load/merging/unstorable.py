"""Rows that a database cannot store, for their characters or their size, move to ``batch.rejected``; the rest stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from operator import methodcaller
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.records import Attribution, RecordBatch, RejectedRecord
from airflow_provider_toggl.core.load.decode.shapes import OBJECTS
from airflow_provider_toggl.core.load.engines.arrow_rows import list_texts
from airflow_provider_toggl.core.load.engines.contract import instants_of


def characters_of(batches: Sequence[RecordBatch]) -> str:
    """Return every character beyond ASCII in the texts of batches, each once, in order."""
    found: set[str] = set()
    for batch in batches:
        for name in _text_columns(batch.table):
            found.update(*filter(None, batch.table[name].to_pylist()))
        for record in batch.rejected:
            found.update(record.raw, record.reason)
    return "".join(sorted(character for character in found if ord(character) > 127))


def reject_unencodable_rows(batches: Sequence[RecordBatch], lost: str) -> list[RecordBatch]:
    """Return batches without the rows that contain any of some characters; these are rejected, written in ASCII.

    :param lost: the characters that cannot be stored.
    """
    return [_reject_unencodable(batch, set(lost)) for batch in batches]


def reject_long_rows(
    batches: Sequence[RecordBatch], text_limit: int | None, row_limit: int | None
) -> list[RecordBatch]:
    """Return batches without the rows that are too long for a column or a statement; these are rejected.

    :param text_limit: characters that a text, list or JSON column holds, None without a limit.
    :param row_limit: bytes that a statement with the values of one row may have, None without a limit.
    """
    if text_limit is None and row_limit is None:
        return list(batches)
    return [_move_to_rejected(batch, _find_long(batch.table, text_limit, row_limit)) for batch in batches]


def _find_long(table: pa.Table, text_limit: int | None, row_limit: int | None) -> dict[int, str]:
    """Return why rows are too long, by their index in the table."""
    reasons: dict[int, str] = {}
    texts = {
        field.name: list_texts(column, "[", ", ", "]") if pa.types.is_list(field.type) else column
        for field, column in zip(table.schema, table.columns, strict=True)
        if pa.types.is_string(field.type) or pa.types.is_list(field.type)
    }
    if text_limit is not None:
        for name, column in texts.items():
            lengths = pc.utf8_length(column)
            for index in _indexes(pc.greater(lengths, text_limit)):
                reason = f"{name}: {lengths[index].as_py():,} characters; the database holds {text_limit:,}"
                reasons.setdefault(index, reason)
    # If the whole batch fits even when escaping doubles its texts, no row is too long.
    if row_limit is not None and 2 * sum(column.nbytes for column in texts.values()) + _overhead(table) > row_limit:
        sizes = pa.array([_overhead(table)] * table.num_rows, pa.int64())
        for column in texts.values():
            for size in (pc.binary_length(column), pc.count_substring_regex(column, _ESCAPED)):
                sizes = pc.add(sizes, pc.fill_null(size, 0).cast(pa.int64()))
        for index in _indexes(pc.greater(sizes, row_limit)):
            size = sizes[index].as_py()
            reason = f"{size:,} bytes in a statement; the server takes {row_limit:,} (max_allowed_packet)"
            reasons.setdefault(index, reason)
    return reasons


_ESCAPED = "[\\\\'\"\0\n\r\x1a]"
"""Characters that drivers write as two."""
_COLUMN_BYTES = 128
"""The most that a column's name, or a value that is no text, takes in a statement or in the input of a digest."""


def _overhead(table: pa.Table) -> int:
    return _COLUMN_BYTES * int(table.num_columns)


def _indexes(mask: pa.Array | pa.ChunkedArray) -> list[int]:
    return [int(index) for index in pc.indices_nonzero(pc.fill_null(mask, False)).to_pylist()]


def _reject_unencodable(batch: RecordBatch, lost: set[str]) -> RecordBatch:
    reasons: dict[int, str] = {}
    for name in _text_columns(batch.table):
        for index, text in enumerate(batch.table[name].to_pylist()):
            if text and index not in reasons and (found := lost.intersection(text)):
                reasons[index] = f"{name}: the encoding of the database has no {_code(min(found))}"
    rejected = tuple(_as_ascii(one, lost) for one in batch.rejected)
    return _move_to_rejected(replace(batch, rejected=rejected), reasons)


def _move_to_rejected(batch: RecordBatch, reasons: dict[int, str]) -> RecordBatch:
    """Return a batch with some rows rejected, by their index."""
    if not reasons:
        return batch
    rejected = [*batch.rejected, *(_build_rejected(batch, index, reason) for index, reason in sorted(reasons.items()))]
    kept = pa.array([index not in reasons for index in range(batch.rows)], pa.bool_())
    attribution = batch.attribution and Attribution(
        batch.attribution.actor_ids.filter(kept), batch.attribution.actions.filter(kept)
    )
    return replace(batch, table=batch.table.filter(kept), rejected=tuple(rejected), attribution=attribution)


def _text_columns(table: pa.Table) -> list[str]:
    return [field.name for field in table.schema if pa.types.is_string(field.type)]


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _as_ascii(record: RejectedRecord, lost: set[str]) -> RejectedRecord:
    """Return a record whose text can be stored; an escape in JSON stands for the same character."""
    if lost.isdisjoint(record.raw) and lost.isdisjoint(record.reason):
        return record
    return replace(record, raw=_escaped(record.raw), reason=_escaped(record.reason))


def _escaped(text: str) -> str:
    return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)


def _build_rejected(batch: RecordBatch, index: int, reason: str) -> RejectedRecord:
    row: dict[str, Any] = {
        field.name: instants_of(column)[0] if pa.types.is_timestamp(field.type) else column[0].as_py()
        for field, column in zip(batch.table.schema, batch.table.slice(index, 1).columns, strict=True)
    }
    raw = json.dumps(_as_response(batch.stream, row), default=methodcaller("isoformat"))
    return RejectedRecord(batch.stream, row["workspace_id"], raw, reason, row["observed_at"])


def _as_sent(type_: str, value: Any) -> Any:
    """Return a column's value as Toggl sends it."""
    if type_ == "json":
        return None if value is None else json.loads(value)
    if type_ in _LISTED:
        return [{_LISTED[type_]: one} for one in value or ()]
    return value


_LISTED = {"members": "user_id", "groups": "group_id"}


def _as_response(stream: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as Toggl sends it, so that a redrive can load it once the database can store it."""
    is_deleted = row["deleted_at"] is not None
    own = {name: value for name, value in row.items() if name not in ("observed_at", "seen_at", "absent_at")}
    own["at"] = own.pop("updated_at")
    if stream != "time_entries":
        return {field.keys[0]: _as_sent(field.type, own.get(field.column)) for field in OBJECTS[stream].fields}
    own["server_deleted_at"] = own.pop("deleted_at")
    if own["duration"] is None:
        own["duration"] = -1  # Toggl's sign for a running entry
    elif not is_deleted:
        # In the form of reports, which alone has rates and amounts.
        entry = {
            "id": own["id"],
            "seconds": own["duration"],
            "start": own["start"],
            "stop": own["stop"],
            "at": own["at"],
        }
        shared = ("user_id", "project_id", "task_id", "billable", "description", "tag_ids", "currency")
        return {
            **{name: own[name] for name in shared},
            "hourly_rate_in_cents": own["hourly_rate_cents"],
            "billable_amount_in_cents": own["billable_amount_cents"],
            "time_entries": [entry],
        }
    return own
