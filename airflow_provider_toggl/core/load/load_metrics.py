"""The metrics of loading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.load.values import LoadResult


def measure_load(result: LoadResult, *, by: str, stream: str, seconds: float) -> None:
    """Measure one load.

    :param by: what loaded: ``pull``, ``drain`` or ``reconcile``.
    :param seconds: how long it took.
    """
    names = ("inserted", "updated", "unchanged", "absent", "rejected")
    measure_rows({name: getattr(result, name) for name in names}, by=by, stream=stream)
    metrics.LOAD_TIME.record(seconds, by=by, stream=stream)


def measure_rows(results: Mapping[str, int], *, by: str, stream: str) -> None:
    """Count rows by result."""
    for name, number in results.items():
        metrics.LOADED_ROWS.add(number, by=by, stream=stream, result=name)


def measure_freshness(
    watermark: datetime | None, now: float, *, by: str, stream: str, workspace_id: int, warehouse: str
) -> None:
    """Measure up to when everything is loaded; nothing while that is not known.

    :param now: seconds since the epoch.
    :param warehouse: connection and schema: each warehouse is as fresh as it was loaded last.
    """
    if watermark is not None:
        tags = {"by": by, "stream": stream, "workspace": workspace_id, "warehouse": warehouse}
        metrics.WATERMARK.set(watermark.timestamp(), **tags)
        metrics.WATERMARK_AGE.set(max(0.0, (utc(now) - watermark).total_seconds()), **tags)
