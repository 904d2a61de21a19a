from __future__ import annotations

import random

import pytest

from airflow_provider_toggl.core.client.retry import RetryPolicy, may_repeat


def test_the_pause_grows_with_full_jitter():
    policy = RetryPolicy(base=1.0, cap=8.0)
    drawn = [policy.pause(5, None, random.Random(seed)) for seed in range(200)]
    assert max(drawn) <= 8.0
    assert min(drawn) < 1.0


def test_retry_after_is_the_shortest_pause():
    assert RetryPolicy().pause(1, 20.0, random.Random(1)) >= 20.0


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "/api/v9/me", True),
        ("POST", "/reports/api/v3/workspace/1/search/time_entries", True),
        ("POST", "/api/v9/workspaces/1/time_entries", False),
        ("DELETE", "/api/v9/workspaces/1/time_entries/5", False),
    ],
)
def test_reads_may_be_repeated_and_a_post_to_the_reports_api_is_one(method, path, reads):
    assert may_repeat(method, path, None) is reads


def test_the_caller_decides_whether_a_request_is_idempotent():
    assert may_repeat("PUT", "/api/v9/x", idempotent=True)
    assert not may_repeat("GET", "/api/v9/x", idempotent=False)


@pytest.mark.parametrize(("failed", "elapsed", "allowed"), [(2, 60.0, True), (3, 0.0, False), (1, 60.1, False)])
def test_tries_are_limited_in_number_and_time(failed, elapsed, allowed):
    assert RetryPolicy(tries=3, longest=60.0).allows(failed, elapsed) is allowed
