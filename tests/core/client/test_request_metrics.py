from __future__ import annotations

import pytest
from support.metrics import recording

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.request_metrics import find_api, measure_lane, status_class


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, "2xx"), (204, "2xx"), (302, "3xx"), (402, "402"), (404, "4xx"), (429, "429"), (503, "5xx"), (None, "none")],
)
def test_a_status_is_counted_by_its_class_and_402_and_429_alone(status: int | None, expected: str) -> None:
    assert status_class(status) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v9/me", "track"),
        ("/reports/api/v3/workspace/7/search/time_entries", "reports"),
        ("/webhooks/api/v1/subscriptions/7", "webhooks"),
    ],
)
def test_a_path_belongs_to_one_of_three_apis(path: str, expected: str) -> None:
    assert find_api(path) == expected


def test_unknown_values_of_a_lane_are_not_recorded() -> None:
    with recording() as recorder:
        measure_lane("c", "user", Lane(remaining=3))
        measure_lane("c", "user", Lane(30, 0, 1000.0))
    tags = {"connection": "c", "lane": "user"}
    assert recorder.of(metrics.QUOTA_LEFT) == [(tags, 3), (tags, 0)]
    assert recorder.of(metrics.QUOTA_LIMIT) == [(tags, 30)]
    assert recorder.of(metrics.QUOTA_RESET) == [(tags, 1000)]
