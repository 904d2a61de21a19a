"""What is measured of requests to Toggl."""

from __future__ import annotations

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Lane

_APIS = {"/reports/": "reports", "/webhooks/": "webhooks"}
#: Statuses that a person does something about.
_APART = (402, 429)


def status_class(status: int | None) -> str:
    """Return the class of an HTTP status as metrics have it; None is that of no answer."""
    if status is None:
        return "none"
    return str(status) if status in _APART else f"{status // 100}xx"


def find_api(path: str) -> str:
    """Return which of Toggl's APIs a path belongs to."""
    return next((api for begin, api in _APIS.items() if path.startswith(begin)), "track")


def measure_request(connection: str, lane: str, path: str, status: int | None, seconds: float) -> None:
    """Count one request, and tell how long it took.

    :param status: of the answer, None where none came.
    """
    api = find_api(path)
    metrics.REQUESTS.add(connection=connection, lane=lane, api=api, status=status_class(status))
    metrics.REQUEST_TIME.record(seconds, connection=connection, api=api)


def measure_lane(connection: str, lane: str, state: Lane) -> None:
    """Tell what is known of a lane."""
    known = (
        (metrics.QUOTA_LEFT, state.remaining),
        (metrics.QUOTA_LIMIT, state.total),
        (metrics.QUOTA_RESET, state.resets_at),
    )
    for gauge, value in known:
        if value is not None:
            gauge.set(value, connection=connection, lane=lane)
