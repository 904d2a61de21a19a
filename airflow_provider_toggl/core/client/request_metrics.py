"""Metrics of requests to Toggl."""

from __future__ import annotations

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Lane

_APIS = {"/reports/": "reports", "/webhooks/": "webhooks"}
#: Statuses that somebody has to act on, so that they are counted one by one.
_COUNTED_ALONE = (402, 429)


def status_class(status: int | None) -> str:
    """Return the label of an HTTP status, such as ``2xx``; ``none`` for a request without a response."""
    if status is None:
        return "none"
    return str(status) if status in _COUNTED_ALONE else f"{status // 100}xx"


def find_api(path: str) -> str:
    """Return the label of the API that a path belongs to."""
    return next((api for begin, api in _APIS.items() if path.startswith(begin)), "track")


def measure_request(connection: str, lane: str, path: str, status: int | None, seconds: float) -> None:
    """Count one request and record its duration.

    :param status: HTTP status of the response, None if none came.
    """
    api = find_api(path)
    metrics.REQUESTS.add(connection=connection, lane=lane, api=api, status=status_class(status))
    metrics.REQUEST_TIME.record(seconds, connection=connection, api=api)


def measure_lane(connection: str, lane: str, state: Lane) -> None:
    """Record what is known about a lane."""
    known = (
        (metrics.QUOTA_LEFT, state.remaining),
        (metrics.QUOTA_LIMIT, state.total),
        (metrics.QUOTA_RESET, state.resets_at),
    )
    for gauge, value in known:
        if value is not None:
            gauge.set(value, connection=connection, lane=lane)
