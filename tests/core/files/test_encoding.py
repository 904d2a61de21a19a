from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.toggl_rows import report_row

from airflow_provider_toggl.core.files.encoding import FORMATS, FileFormat, decode_rows, encode_rejected, encode_rows
from airflow_provider_toggl.core.load.decode.records import Observation, decode_page, read_texts

OBSERVED = Observation(7, datetime(2026, 3, 10, 23, 30, tzinfo=timezone.utc))
TEXTS = st.text(max_size=30)


def round_trip(stream: str, body: bytes, file_format: FileFormat) -> dict[date, list[dict[str, object]]]:
    """Return the rows of each file by day, after encoding and decoding."""
    batch, texts = decode_page(stream, body, OBSERVED), read_texts(stream, body)
    files = encode_rows(batch, list(texts), OBSERVED.observed_at, file_format)
    return {one.day: decode_rows(stream, one.data, file_format, OBSERVED).table.to_pylist() for one in files}


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_entry_is_on_the_day_that_its_start_is_written_with(file_format: FileFormat) -> None:
    starts = ["2026-03-09T23:30:00-05:00", "2026-03-10T00:30:00+02:00", "2026-03-10T10:00:00Z"]
    body = json.dumps([report_row(number, start=start) for number, start in enumerate(starts, 1)]).encode()
    found = round_trip("time_entries", body, file_format)
    assert {day.isoformat(): [row["id"] for row in rows] for day, rows in found.items()} == {
        "2026-03-09": [1],
        "2026-03-10": [2, 3],
    }


def test_a_row_with_several_entries_is_a_line_for_each() -> None:
    row = report_row(1, start="2026-03-09T10:00:00Z")
    row["time_entries"].append({**row["time_entries"][0], "id": 2, "start": "2026-03-10T10:00:00Z"})
    found = round_trip("time_entries", json.dumps([row]).encode(), "jsonl")
    assert [[one["id"] for one in rows] for rows in found.values()] == [[1], [2]]


@pytest.mark.parametrize("file_format", FORMATS)
@given(names=st.lists(TEXTS, max_size=5), indent=st.sampled_from([None, 1]), is_ascii=st.booleans())
def test_values_come_back_as_the_decoder_has_them(
    file_format: FileFormat, names: list[str], indent: int | None, is_ascii: bool
) -> None:
    document = [{"id": number, "name": name, "at": "2026-03-01T00:00:00Z"} for number, name in enumerate(names, 1)]
    body = json.dumps(document, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    wanted = decode_page("tags", body, OBSERVED).table.to_pylist()
    found = round_trip("tags", body, file_format)
    assert [row for rows in found.values() for row in rows] == wanted
    assert set(found) <= {date(2026, 3, 10)}


@given(st.binary(max_size=40))
def test_the_texts_are_those_of_the_rows(noise: bytes) -> None:
    body = b'[{"id":1,"name":"a"},{"id":2},{"id":3,"name":"' + noise.replace(b'"', b"").replace(b"\\", b"") + b'"}]'
    batch, texts = decode_page("tags", body, OBSERVED), read_texts("tags", body)
    assert [json.loads(one.text.decode(errors="replace"), strict=False)["id"] for one in texts] == batch.table[
        "id"
    ].to_pylist()


def test_a_rejected_record_is_a_line_with_its_reason() -> None:
    batch = decode_page("tags", b'[{"id":1,"name":7},{"id":2,"name":"b"}]', OBSERVED)
    (line,) = encode_rejected(batch.rejected).splitlines()
    assert json.loads(line) == {
        "stream": "tags",
        "workspace_id": 7,
        "observed_at": "2026-03-10T23:30:00+00:00",
        "reason": "name: 7 is not a text",
        "raw": '{"id":1,"name":7}',
    }
