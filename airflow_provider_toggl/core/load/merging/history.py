"""Keeping the history of time entries in an open transaction, the same on each engine."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.engines.contract import Session
from airflow_provider_toggl.core.load.merging import history_sql
from airflow_provider_toggl.core.load.merging.versions import STORED_COLUMNS, build_stored, build_versions
from airflow_provider_toggl.core.load.tables.schemas import KEY, VERSIONS
from airflow_provider_toggl.core.load.tables.state import find_setting, store_setting

SETTING = "history"
CHUNK = 50_000
"""Stored entries that are read at a time when a history begins."""


def is_kept(session: Session) -> bool:
    """Return whether this warehouse keeps the history of its time entries."""
    return find_setting(session, SETTING, "off") == "on"


def keep_versions(session: Session, batches: Iterable[RecordBatch]) -> None:
    """Store the versions of the time entries in batches, if history is on."""
    entries = [batch for batch in batches if batch.stream == "time_entries" and batch.rows]
    if entries and is_kept(session):
        store_versions(session, build_versions(entries))


def set_kept(session: Session, kept: bool) -> None:
    """Switch history on or off. When it is switched on, the stored entries are its first versions."""
    if kept == is_kept(session):
        return
    store_setting(session, SETTING, "on" if kept else "off")
    if kept:
        session.fetch_workspace("time_entries", None)
    after = -(2**63)
    while kept:
        rows = session.table(history_sql.read_stored(STORED_COLUMNS, CHUNK), [after])
        if not rows.num_rows:
            break
        store_versions(session, build_stored(rows))
        after = int(pc.max(rows[KEY]).as_py())


def store_versions(session: Session, versions: pa.Table) -> None:
    """Merge versions with the stored ones."""
    if not versions.num_rows:
        return
    if not session.has_stored(VERSIONS, versions[KEY].to_pylist()):
        session.insert(VERSIONS, versions)
        return
    session.stage(VERSIONS, versions)
    for statement in history_sql.merge_versions(session.dialect):
        session.run(statement)
    session.unstage()
