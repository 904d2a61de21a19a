"""What is measured of landing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.load.target import Landed


def measure_landing(landed: Landed, *, by: str, stream: str, seconds: float) -> None:
    """Tell what one transaction did, and how long it took.

    :param by: who landed: ``pull``, ``drain`` or ``reconcile``.
    """
    measure_rows(
        {
            "inserted": landed.inserted,
            "updated": landed.updated,
            "unchanged": landed.unchanged,
            "absent": landed.absent,
            "rejected": landed.rejected,
        },
        by=by,
        stream=stream,
    )
    metrics.LOAD_TIME.record(seconds, by=by, stream=stream)


def measure_rows(results: Mapping[str, int], *, by: str, stream: str) -> None:
    """Tell of how many rows there was which result."""
    for result, number in results.items():
        metrics.LOADED_ROWS.add(number, by=by, stream=stream, result=result)


def measure_freshness(
    watermark: datetime | None, now: float, *, by: str, stream: str, workspace_id: int, warehouse: str
) -> None:
    """Tell up to when everything is landed; nothing while that is not known.

    :param now: seconds since the epoch.
    :param warehouse: connection and schema: each warehouse is as fresh as it was loaded last.
    """
    if watermark is not None:
        tags = {"by": by, "stream": stream, "workspace": workspace_id, "warehouse": warehouse}
        metrics.WATERMARK.set(watermark.timestamp(), **tags)
        metrics.WATERMARK_AGE.set(max(0.0, (utc(now) - watermark).total_seconds()), **tags)
