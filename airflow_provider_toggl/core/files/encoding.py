"""The rows of a page as files: by day, in a format, and back to rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_toggl.core.json_text import decode_text, read_json
from airflow_provider_toggl.core.load.decode.column_types import parse_date
from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.records import (
    Observation,
    RecordBatch,
    RecordText,
    RejectedRecord,
    decode_page,
)

FileFormat = Literal["parquet", "jsonl"]
FORMATS: tuple[FileFormat, ...] = ("parquet", "jsonl")


@dataclass(frozen=True)
class EncodedFile:
    """The content of a file before it is written."""

    day: date
    rows: int
    data: bytes


def encode_rows(
    batch: RecordBatch, texts: Sequence[RecordText | None], observed_at: datetime, file_format: FileFormat
) -> list[EncodedFile]:
    """Return a file for each day of a page.

    The day of a time entry is the one that its ``start`` is written with, which in reports is that of the token's
    owner. All others are on the day of their observation, in UTC.

    :param texts: the text of each row of the batch; None leaves the row out.
    """
    observed = observed_at.date()
    days: dict[date, list[int]] = {}
    for index, record in enumerate(texts):
        if record is None:
            continue
        is_entry = batch.stream == "time_entries" and record.start is not None
        day = parse_date(record.start) if is_entry else observed
        days.setdefault(day or observed, []).append(index)
    encoded = []
    for day, indices in sorted(days.items()):
        if file_format == "parquet":
            data = _to_parquet(batch.table.take(pa.array(indices)))
        else:
            data = b"".join(_line(record.text) for record in map(texts.__getitem__, indices) if record is not None)
        encoded.append(EncodedFile(day, len(indices), data))
    return encoded


def decode_rows(stream: str, data: bytes, file_format: str, observation: Observation) -> RecordBatch:
    """Return the rows of a file, equal to those that were written.

    :param observation: of the page that the file came from.
    """
    if file_format == "parquet":
        return RecordBatch(stream, _with_all_columns(pq.read_table(pa.BufferReader(data)), ARROW_SCHEMAS[stream]))
    return decode_page(stream, b"[" + b",".join(data.splitlines()) + b"]", observation)


def encode_rejected(rejected: Sequence[RejectedRecord]) -> bytes:
    """Return rejected records as JSON lines, with the columns of the table ``rejected_records``."""
    lines = [
        {
            "stream": one.stream,
            "workspace_id": one.workspace_id,
            "observed_at": one.observed_at.isoformat(),
            "reason": one.reason,
            "raw": one.raw,
        }
        for one in rejected
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _to_parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _line(text: bytes) -> bytes:
    """Return a JSON text as one line of valid UTF-8; nearly every one is that already."""
    if b"\n" in text or b"\r" in text:
        return json.dumps(read_json(text)).encode() + b"\n"
    return decode_text(text).encode() + b"\n"


def _with_all_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema. A file of an earlier version may lack some of them."""
    arrays = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
