from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.limits.quota import (
    Lane,
    QuotaReading,
    close,
    current,
    estimate,
    find_workspace,
    lane_of,
    learn,
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


def test_what_is_under_way_and_what_is_kept_back_is_not_spare():
    assert spare(Lane(30, 10, 100.0), 3, 2) == 5


def test_a_reserve_larger_than_the_window_leaves_one_for_work():
    assert spare(Lane(5, 5, 100.0), 0, 50) == 1


def test_a_window_that_is_over_is_full_again():
    assert current(Lane(30, 0, 100.0), 100.0) == Lane(30, 30, None)


def test_a_window_that_is_not_over_stays_as_it_is():
    assert current(Lane(30, 0, 100.0), 99.9).remaining == 0


def test_the_first_answer_of_a_window_tells_its_size():
    assert learn(Lane(), QuotaReading(29, 3600.0), overtaken=False, now=0.0).total == 30


def test_answers_that_overtake_each_other_keep_the_lower_number():
    lane = learn(Lane(30, 20, 3600.0), QuotaReading(22, 3000.0), overtaken=True, now=10.0)
    assert lane.remaining == 20


def test_an_answer_that_none_overtook_is_believed_also_when_it_rises():
    lane = learn(Lane(30, 5, 3600.0), QuotaReading(9, 3000.0), overtaken=False, now=10.0)
    assert lane.remaining == 9


def test_a_refusal_without_a_time_keeps_the_known_reset():
    assert close(Lane(30, 3, 500.0), None, 100.0).resets_at == 500.0


def test_a_refusal_with_a_time_sets_it():
    assert 160.0 <= (close(Lane(), 60.0, 100.0).resets_at or 0) <= 161.0


def test_an_estimate_counts_the_waits():
    found = estimate(41, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0)
    assert found.waits == 1
    assert "1 wait for the quota" in str(found)


def test_an_estimate_that_fits_waits_for_nothing():
    assert estimate(5, Lane(30, 30, None), reserve=2, interval=1.0, now=0.0).seconds == 5.0


@given(
    remaining=st.integers(-5, 700),
    in_flight=st.integers(0, 40),
    reserve=st.integers(0, 60),
    resets=st.floats(0, 3600),
)
def test_a_charge_is_never_granted_beyond_what_was_told(remaining, in_flight, reserve, resets):
    lane = learn(Lane(), QuotaReading(remaining, resets), overtaken=False, now=0.0)
    can = spare(lane, in_flight, reserve)
    assert can is not None
    assert can <= max(0, remaining) - in_flight
