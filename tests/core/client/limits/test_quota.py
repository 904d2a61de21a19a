from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.limits.quota import (
    Lane,
    QuotaReading,
    charge_unreported,
    close,
    current,
    estimate,
    find_plan,
    lane_of,
    learn,
    merge_report,
    spare,
)


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/api/v9/me", "user"),
        ("/api/v9/me/workspaces", "user"),
        ("/api/v9/workspaces/7/projects", "organization:3"),
        ("/reports/api/v3/workspace/7/search/time_entries", "organization:3"),
        ("/webhooks/api/v1/subscriptions/7", "organization:3"),
        ("/api/v9/workspaces/8/projects", "workspace:8"),
        ("/api/v9/organizations/3/workspaces/8/groups", "organization:3"),
        ("/api/v9/audit_logs/3/2026-01-01T00:00:00Z/2026-02-01T00:00:00Z", "organization:3"),
    ],
)
def test_a_path_is_charged_to_its_lane(path, lane):
    assert lane_of(path, {7: 3}) == lane


@pytest.mark.parametrize(
    ("flags", "total", "plan"),
    [
        ({}, 30, "Free"),
        ({"premium": True}, 240, "Starter"),
        ({"premium": True, "business_ws": True}, 600, "Premium"),
        ({"premium": True, "business_ws": True}, 601, "Enterprise"),
        ({"premium": True, "business_ws": True}, None, "Premium"),
    ],
)
def test_a_plan_is_known_by_flags_and_the_largest_by_its_quota(flags, total, plan):
    assert find_plan({"organization_id": 3, **flags}, {"organization:3": Lane(total)}) == plan


@pytest.mark.parametrize(
    ("lane", "in_flight", "reserve", "left"),
    [(Lane(), 5, 2, None), (Lane(30, 10, 100.0), 3, 2, 5), (Lane(5, 5, 100.0), 0, 50, 1), (Lane(1, 1, 100.0), 0, 2, 1)],
    ids=["unknown", "in flight and reserved", "a reserve larger than the window", "a window of one request"],
)
def test_requests_in_flight_and_the_reserve_are_not_spare(lane, in_flight, reserve, left):
    assert spare(lane, in_flight, reserve) == left


def test_a_window_is_full_again_when_it_has_ended():
    assert current(Lane(30, 0, 100.0), 99.9).remaining == 0
    assert current(Lane(30, 0, 100.0), 100.0) == Lane(30, 30, None)


def test_the_first_response_of_a_window_shows_its_size():
    assert learn(Lane(), QuotaReading(29, 3600.0), overtaken=False, now=0.0).total == 30


def test_a_request_without_a_report_is_charged():
    assert charge_unreported(Lane(30, 5, 100.0), 50.0) == Lane(30, 4, 100.0)
    assert charge_unreported(Lane(30, 0, 100.0), 50.0) == Lane(30, 0, 100.0)
    assert charge_unreported(Lane(30, 5, 100.0), 100.0) == Lane(30, 29, None)
    assert charge_unreported(Lane(30, None, 100.0), 50.0) == Lane(30, None, 100.0)


@pytest.mark.parametrize(
    ("known", "reported", "remaining"),
    [
        (Lane(30, 8, 100.0), Lane(30, 10, 102.9), 8),
        (Lane(30, 10, 100.0), Lane(30, 8, 102.9), 8),
        (Lane(30, 8, 100.0), Lane(30, 10, 103.0), 10),
        (Lane(), Lane(30, 10, 100.0), 10),
        (Lane(30, 8, 100.0), Lane(30, None, 100.0), None),
    ],
)
def test_a_report_raises_what_is_left_only_for_another_window(known, reported, remaining):
    assert merge_report(known, reported) == Lane(30, remaining, reported.resets_at)


def test_a_refusal_keeps_the_known_reset_or_sets_its_own():
    assert close(Lane(30, 3, 500.0), None, 100.0).resets_at == 500.0
    assert close(Lane(30, 3, 50.0), None, 100.0).resets_at == 700.0
    assert close(Lane(), 60.0, 100.0) == Lane(None, 0, 160.5)


def test_an_estimate_counts_the_waits_and_the_time_of_the_responses():
    assert estimate(5, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0).seconds == 6.0
    found = estimate(41, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0)
    assert found.waits == 1
    assert "1 wait for the quota" in str(found)


@given(
    remaining=st.integers(-5, 700), in_flight=st.integers(0, 40), reserve=st.integers(0, 60), resets=st.floats(0, 3600)
)
def test_no_more_is_spare_than_was_reported(remaining, in_flight, reserve, resets):
    lane = learn(Lane(), QuotaReading(remaining, resets), overtaken=False, now=0.0)
    can = spare(lane, in_flight, reserve)
    assert can is not None
    assert can <= max(0, remaining) - in_flight


@pytest.mark.parametrize(
    ("requests", "resets_at", "waits", "seconds"),
    [(8, None, 0, 9.6), (9, None, 1, 3601.2), (36, None, 1, 3633.6), (37, None, 2, 7201.2), (37, 110.0, 2, 3611.2)],
)
def test_an_estimate_waits_for_the_first_request_that_does_not_fit(requests, resets_at, waits, seconds):
    found = estimate(requests, Lane(30, 10, resets_at), reserve=2, interval=1.0, now=100.0)
    assert (found.waits, found.seconds) == (waits, pytest.approx(seconds))


@pytest.mark.parametrize(
    ("lane", "overtaken", "remaining"),
    [
        (Lane(30, 5, 100.0), False, 9),
        (Lane(30, 5, 100.0), True, 5),
        (Lane(30, 12, 100.0), True, 9),
        (Lane(30, 5, None), True, 9),
        (Lane(30, None, 100.0), True, 9),
        (Lane(30, 5, 50.0), True, 9),
    ],
    ids=["in order", "the lower counts", "the report is lower", "reset unknown", "rest unknown", "another window"],
)
def test_a_report_that_was_overtaken_never_raises_what_is_left_of_its_window(lane, overtaken, remaining):
    found = learn(lane, QuotaReading(9, 40.0), overtaken=overtaken, now=60.0)
    assert found == Lane(30, remaining, 100.5)
    assert learn(lane, QuotaReading(9, None), overtaken=overtaken, now=40.0).resets_at == lane.resets_at
