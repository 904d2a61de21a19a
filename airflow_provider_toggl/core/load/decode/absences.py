"""Batches that mark entries absent and change nothing else of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pyarrow as pa

from airflow_provider_toggl.core.load.decode.column_types import INSTANT
from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.records import RecordBatch

_NEVER = datetime(1970, 1, 1, tzinfo=timezone.utc)


def build_absences(stream: str, workspace_id: int, ids: Sequence[int], absent_at: datetime) -> RecordBatch:
    """Return rows whose only information is that a report lacked these ids.

    ``absent_at`` is a maximum and everything else is older than any observation. So loading them changes no field of a
    row, and nothing of a row that was seen later, on any engine, in any order and any number of times.

    :param absent_at: when the report was true, by Toggl's clock, UTC.
    """
    size = len(ids)
    given = {
        "id": pa.array(ids, pa.int64()),
        "workspace_id": pa.repeat(pa.scalar(workspace_id, pa.int64()), size),
        "observed_at": pa.repeat(pa.scalar(_NEVER, INSTANT), size),
        "absent_at": pa.repeat(pa.scalar(absent_at, INSTANT), size),
    }
    schema = ARROW_SCHEMAS[stream]
    arrays = [given[field.name] if field.name in given else pa.nulls(size, field.type) for field in schema]
    return RecordBatch(stream, pa.Table.from_arrays(arrays, schema=schema))
