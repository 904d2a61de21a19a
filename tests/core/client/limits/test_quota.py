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
    find_workspace,
    lane_of,
    learn,
    merge_report,
    spare,
)


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/api/v9/me", "user"),
        ("/api/v9/me/time_entries", "user"),
        ("/api/v9/workspaces/7/projects", "organization:3"),
        ("/reports/api/v3/workspace/7/search/time_entries", "organization:3"),
        ("/webhooks/api/v1/subscriptions/7", "organization:3"),
        ("/api/v9/workspaces/8/projects", "workspace:8"),
        ("/api/v9/organizations/3/workspaces/8/groups", "organization:3"),
    ],
)
def test_a_path_is_charged_to_its_lane(path, lane):
    assert lane_of(path, {7: 3}) == lane


def test_a_path_about_the_user_names_no_workspace():
    assert find_workspace("/api/v9/me/workspaces") is None


def test_an_unknown_lane_may_be_charged():
    assert spare(Lane(), 5, 2) is None


def test_requests_in_flight_and_the_reserve_are_not_spare():
    assert spare(Lane(30, 10, 100.0), 3, 2) == 5


def test_a_reserve_larger_than_the_window_leaves_one_request_for_tasks():
    assert spare(Lane(5, 5, 100.0), 0, 50) == 1


def test_a_window_that_has_ended_is_full_again():
    assert current(Lane(30, 0, 100.0), 100.0) == Lane(30, 30, None)


def test_a_window_that_has_not_ended_does_not_change():
    assert current(Lane(30, 0, 100.0), 99.9).remaining == 0


def test_the_first_response_of_a_window_shows_its_size():
    assert learn(Lane(), QuotaReading(29, 3600.0), overtaken=False, now=0.0).total == 30


def test_of_two_responses_out_of_order_the_lower_number_counts():
    lane = learn(Lane(30, 20, 3600.0), QuotaReading(22, 3000.0), overtaken=True, now=10.0)
    assert lane.remaining == 20


def test_a_response_in_order_may_raise_what_is_left():
    lane = learn(Lane(30, 5, 3600.0), QuotaReading(9, 3000.0), overtaken=False, now=10.0)
    assert lane.remaining == 9


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


def test_a_refusal_without_a_time_keeps_the_known_reset():
    assert close(Lane(30, 3, 500.0), None, 100.0).resets_at == 500.0


def test_a_refusal_with_a_time_sets_it():
    assert 160.0 <= (close(Lane(), 60.0, 100.0).resets_at or 0) <= 161.0


def test_an_estimate_counts_the_waits():
    found = estimate(41, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0)
    assert found.waits == 1
    assert "1 wait for the quota" in str(found)


def test_an_estimate_within_the_window_has_no_waits():
    assert estimate(5, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0).seconds == 5.0


@given(
    remaining=st.integers(-5, 700),
    in_flight=st.integers(0, 40),
    reserve=st.integers(0, 60),
    resets=st.floats(0, 3600),
)
def test_no_more_is_spare_than_was_reported(remaining, in_flight, reserve, resets):
    lane = learn(Lane(), QuotaReading(remaining, resets), overtaken=False, now=0.0)
    can = spare(lane, in_flight, reserve)
    assert can is not None
    assert can <= max(0, remaining) - in_flight


@pytest.mark.parametrize(("requests", "waits"), [(8, 0), (9, 1), (36, 1), (37, 2)])
def test_an_estimate_waits_for_the_first_request_that_does_not_fit(requests, waits):
    assert estimate(requests, Lane(30, 10, None), reserve=2, interval=1.0, now=0.0).waits == waits
