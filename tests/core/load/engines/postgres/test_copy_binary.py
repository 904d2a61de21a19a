from __future__ import annotations

import struct
from datetime import date, datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_toggl.core.load.engines.postgres import copy_binary
from airflow_provider_toggl.core.load.engines.postgres.copy_binary import BEGIN, END, binary_chunks

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ROWS = st.lists(
    st.tuples(
        *(
            st.none() | kind
            for kind in (INT64, TEXT, st.booleans(), st.floats(allow_nan=False), st.lists(INT64, max_size=3))
        )
    ),
    max_size=12,
)
SCHEMA = pa.schema(
    [("a", pa.int64()), ("b", pa.string()), ("c", pa.bool_()), ("d", pa.float64()), ("e", pa.list_(pa.int64()))]
)


def read(data: bytes) -> list[list[bytes | None]]:
    """Read the format as PostgreSQL's documentation describes it, a field at a time."""
    assert data.startswith(BEGIN)
    at, rows = len(BEGIN), []
    while (count := struct.unpack_from(">h", data, at)[0]) != -1:
        at += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at)
            at += 4
            row.append(None if size == -1 else data[at : at + size])
            at += max(size, 0)
        rows.append(row)
    assert data[at:] == END
    return rows


def plain(value: Any) -> bytes | None:
    """Return the bytes of a value, written one by one."""
    if value is None:
        return None
    if isinstance(value, bool):
        return struct.pack(">?", value)
    if isinstance(value, list):
        head = struct.pack(">iii", 1 if value else 0, 0, 20)
        size = struct.pack(">ii", len(value), 1) if value else b""
        return head + size + b"".join(struct.pack(">iq", 8, each) for each in value)
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode()
    return struct.pack(">q" if isinstance(value, int) else ">d", value)


@settings(max_examples=60)
@given(rows=ROWS, cut=st.integers(0, 12))
def test_columns_give_the_bytes_that_fields_one_by_one_give(rows: list[tuple[Any, ...]], cut: int) -> None:
    columns = list(zip(*rows, strict=True)) or [()] * 5
    table = pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA)
    pieces = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    assert read(b"".join(bytes(chunk) for chunk in binary_chunks(pieces))) == [[plain(v) for v in row] for row in rows]


def test_instants_and_dates_count_from_the_year_2000(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_binary, "CHUNK", 1)
    moments = [
        datetime(2000, 1, 1, 0, 0, 1, tzinfo=timezone.utc),
        datetime(1999, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
    ]
    table = pa.table({"a": pa.array(moments, pa.timestamp("us", "UTC")), "b": [date(2000, 1, 2), date(1999, 12, 31)]})
    found = read(b"".join(bytes(chunk) for chunk in binary_chunks(table)))
    assert found == [[struct.pack(">q", n * 1_000_000), struct.pack(">i", n)] for n in (1, -1)]
