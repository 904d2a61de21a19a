"""Whether rows can be landed, into tables of this version, and were lately."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from airflow_provider_toggl.core.errors import SchemaTooNew, TogglError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.operate.findings import Finding, fine, trouble
from airflow_provider_toggl.core.operate.health.facts import STALE_AFTER, ago, span

_WHAT_CAME = {2: "days that changed", 3: "history", 4: "primary keys"}


def judge_warehouse_error(error: TogglError) -> Finding:
    """Return what an error of the warehouse says."""
    if isinstance(error, WarehouseLocked):
        return trouble("warehouse_locked", str(error))
    if isinstance(error, WarehouseReadOnly):
        return trouble("warehouse_read_only", str(error))
    if isinstance(error, SchemaTooNew):
        return trouble("schema_too_new", str(error))
    return trouble("warehouse_unreachable", str(error))


def check_version(version: int, known: int, where: str) -> Finding | None:
    """Return what is wrong with the version of the tables, None where it is this package's.

    :param version: of the tables, 0 where there are none.
    """
    if version == 0:
        return trouble("no_tables", f"{where} has no tables of this package.")
    if version < known:
        steps = [
            f"{step} ({_WHAT_CAME[step]})" if step in _WHAT_CAME else str(step)
            for step in range(version + 1, known + 1)
        ]
        words = f"The tables in {where} are of version {version}, this package's of {known}"
        return trouble("schema_too_old", f"{words}; still to be applied: {', '.join(steps)}.")
    return None


def check_freshness(where: str, version: int, landed: Sequence[tuple[str, datetime]], now: datetime) -> list[Finding]:
    """Return which streams were not landed for long.

    :param landed: each stream with its last run, aware.
    """
    stale = [f"{stream} ({ago(at, now)})" for stream, at in landed if now - at > STALE_AFTER]
    if stale:
        return [trouble("warehouse_stale", f"Not landed in {where} for long: {', '.join(stale)}.")]
    newest = min((now - at for _, at in landed), default=None)
    last = "nothing was landed yet" if newest is None else f"last landed {span(newest.total_seconds())} ago"
    return [fine("warehouse", f"{where} can be written, its tables are of version {version}; {last}.")]
