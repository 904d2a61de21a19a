"""Histories of one entry as hypothesis makes them up, and the rule of merging as a model without a database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from hypothesis import strategies as st
from support.observations import at, decode, v9_entry

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.tables.schemas import TABLES

LOWEST = datetime.min.replace(tzinfo=timezone.utc)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
ENTRIES = TABLES["time_entries"]


@dataclass(frozen=True)
class Seen:
    """One observation of one entry: equal numbers and few values, so that ties and silent changes are common."""

    id: int
    updated: int | None
    observed: int
    description: str | None
    tag_ids: tuple[int, ...]
    deleted: int | None

    def batch(self) -> RecordBatch:
        changed = None if self.updated is None else at(self.updated).isoformat()
        deleted = None if self.deleted is None else at(self.deleted).isoformat()
        row = v9_entry(self.id, description=self.description, tag_ids=list(self.tag_ids), at=changed)
        row["server_deleted_at"] = deleted
        return decode("time_entries", row, seconds=self.observed)


@st.composite
def sightings(draw: st.DrawFn) -> Seen:
    deleted = draw(st.none() | st.none() | st.integers(0, 6))
    # Only a deleted one may lack the time of its last update: without it a living entry is not landed at all.
    updated = draw(st.integers(0, 3) if deleted is None else st.none() | st.integers(0, 3))
    return Seen(
        id=draw(st.integers(1, 3)),
        updated=updated,
        observed=draw(st.integers(0, 6)),
        description=draw(st.none() | st.sampled_from(["", "a", "b", "A", "a ", "é", "a|b", "1:a"])),
        tag_ids=draw(st.sampled_from([(), (1,), (1, 2)])),
        deleted=deleted,
    )


def model(batches: Iterable[RecordBatch]) -> list[dict[str, Any]]:
    """Return what the rule makes of observations, without a database."""
    rows: dict[int, dict[str, Any]] = {}
    for batch in batches:
        for new in batch.table.to_pylist():
            old = rows.setdefault(new["id"], new)
            best = max((old, new), key=lambda row: (row["updated_at"] or LOWEST, row["observed_at"], digest(row)))
            known = {name: [row[name] for row in (old, new) if row[name]] for name in ("seen_at", "deleted_at")}
            rows[new["id"]] = {**best, **{name: max(values, default=None) for name, values in known.items()}}
    return [rows[id_] for id_ in sorted(rows)]


def digest(row: dict[str, Any]) -> str:
    texts = (text_of(row[column.name], column.type) for column in ENTRIES.own)
    return hashlib.md5("".join("-" if text is None else f"{len(text)}:{text}" for text in texts).encode()).hexdigest()


def text_of(value: Any, type_: str) -> str | None:
    if value is None:
        return None
    if type_ == "timestamp":
        return str(round((value - EPOCH).total_seconds() * 1_000_000))
    return str(value).lower() if type_ == "boolean" else str(value)
