"""``time_entry_facts`` as an Iceberg table, for engines that cannot use this package's views."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile

from airflow_provider_toggl.core.load.engines.iceberg.files import write_files
from airflow_provider_toggl.core.load.engines.iceberg.schemas import FACTS, FACTS_TABLE, arrow_schema
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore

_SEQ, _NAMES, _ZONE = "toggl.seq", "toggl.names", "toggl.timezone"
_EPOCH = date(1970, 1, 1)
_NAME_COLUMNS = {
    "users": '"id", "fullname"',
    "projects": '"id", "name", "client_id"',
    "clients": '"id", "name"',
    "tasks": '"id", "name"',
    "tags": '"id", "name"',
}
_SPAN = 'select min("start"), max("start") from "live_time_entries"'


def refresh(store: IcebergStore) -> dict[str, Any]:
    """Bring the table to what the view is now; only months with changed days are written again.

    All months are, if the time zone or a name of a project, client, task, tag or user has changed.

    :param store: an open store with tables.
    :return: the number of months and of rows that were written.
    :raises CommitConflict: another process refreshed it at the same time.
    """
    state = store.read_state()
    seq = pc.max(state.tables["change_counter"]["seq"]).as_py() or 0
    settings = dict(zip(*(state.tables["settings"][name].to_pylist() for name in ("key", "value")), strict=True))
    wanted = {_SEQ: str(seq), _NAMES: _digest_names(store), _ZONE: settings.get("timezone", "UTC")}
    store.ensure_table(FACTS_TABLE)
    known = store.find_properties(FACTS, _SEQ)
    if known == wanted:
        return {"months": 0, "rows": 0}
    is_whole = any(known.get(name) != wanted[name] for name in (_NAMES, _ZONE))
    live = store.list_live_files(FACTS_TABLE)
    if is_whole:
        months, removed = _all_months(store), live
    else:
        days = state.tables["changed_days"]
        after = days.filter(pc.greater(days["seq"], int(known[_SEQ])))
        months = sorted({_month(day) for day in after["day"].to_pylist()})
        # Facts without a day are of no changed day.
        removed = [file for file in live if file.entry.data_file.partition[0] in {*months, None}]
    added = [file for month in [*months, None] for file in _write_month(store, month)]
    store.commit_table(FACTS_TABLE, added, removed, wanted)
    return {"months": len(months), "rows": sum(file.record_count for file in added)}


def _write_month(store: IcebergStore, month: int | None) -> Iterator[DataFile]:
    names = ", ".join(f'"{column.name}"' for column in FACTS_TABLE.columns)
    select = f'select {names} from "time_entry_facts" where'  # noqa: S608 - names of ours
    if month is None:
        rows = store.query(f'{select} "local_date" is null')
    else:
        first, end = _first_day(month), _first_day(month + 1)
        # The range of the start, which is wider than any zone's day, lets files be skipped.
        begin, until = (datetime(day.year, day.month, 1, tzinfo=timezone.utc) for day in (first, end))
        margin = timedelta(days=2)
        rows = store.query(
            f'{select} "local_date" >= ? and "local_date" < ? and "start" >= ? and "start" < ?',
            [first, end, begin - margin, until + margin],
        )
    schema = arrow_schema(FACTS_TABLE.columns)
    if rows.num_rows:
        yield from write_files(store.load_table(FACTS), rows.select(schema.names).cast(schema), FACTS_TABLE)


def _all_months(store: IcebergStore) -> list[int]:
    span: pa.Table = store.query(_SPAN)
    first, last = (column[0].as_py() for column in span.columns)
    if first is None:
        return []
    # A local date may be a day before or after the one in UTC.
    days = (moment.date() + timedelta(days=shift) for moment, shift in ((first, -1), (last, 1)))
    begin, end = map(_month, days)
    return list(range(begin, end + 1))


def _month(day: date) -> int:
    return (day.year - _EPOCH.year) * 12 + day.month - 1


def _first_day(month: int) -> date:
    return date(_EPOCH.year + month // 12, month % 12 + 1, 1)


def _digest_names(store: IcebergStore) -> str:
    digest = hashlib.sha256()
    for table, columns in _NAME_COLUMNS.items():
        rows = store.query(f'select {columns} from "{table}" order by "id"')  # noqa: S608 - names of ours
        digest.update(repr([column.to_pylist() for column in rows.columns]).encode())
    return digest.hexdigest()[:32]
