from __future__ import annotations

import random

import pytest

from airflow_provider_toggl.core.client.retry import RetryPolicy, is_read, may_repeat


def test_the_pause_grows_and_is_drawn_from_the_whole_range():
    policy = RetryPolicy(base=1.0, cap=8.0)
    drawn = [policy.pause(5, None, random.Random(seed)) for seed in range(200)]
    assert max(drawn) <= 8.0
    assert min(drawn) < 1.0


def test_what_toggl_asks_for_is_a_floor():
    assert RetryPolicy().pause(1, 20.0, random.Random(1)) >= 20.0


def test_tries_are_bounded():
    assert not RetryPolicy(tries=3).allows(3, 0.0, 0.0)


def test_time_is_bounded():
    assert not RetryPolicy(longest=60.0).allows(1, 50.0, 11.0)


@pytest.mark.parametrize(
    ("method", "path", "reads"),
    [
        ("GET", "/api/v9/me", True),
        ("POST", "/reports/api/v3/workspace/1/search/time_entries", True),
        ("POST", "/api/v9/workspaces/1/time_entries", False),
        ("DELETE", "/api/v9/workspaces/1/time_entries/5", False),
    ],
)
def test_reports_are_asked_by_post_and_only_read(method, path, reads):
    assert is_read(method, path) is reads


def test_the_callers_word_goes_before_the_methods():
    assert may_repeat("PUT", "/api/v9/x", idempotent=True)
    assert not may_repeat("GET", "/api/v9/x", idempotent=False)
