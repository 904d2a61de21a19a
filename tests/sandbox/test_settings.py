from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_toggl.sandbox.settings import SettingError, Settings


@pytest.mark.parametrize(("plan", "quota"), [("free", 30), ("starter", 240), ("premium", 600), ("enterprise", 10_000)])
def test_the_plan_gives_the_quota_of_the_organization_and_not_that_of_a_user(plan: Any, quota: int) -> None:
    settings = Settings(plan=plan)
    assert (settings.lane_quota("organization"), settings.lane_quota("user")) == (quota, 30)


def test_a_quota_that_is_set_is_taken_instead_of_the_plan_s() -> None:
    settings = Settings(organization_quota=5, user_quota=6)
    assert (settings.lane_quota("organization"), settings.lane_quota("user")) == (5, 6)


def test_settings_are_changed_by_name() -> None:
    settings = Settings()
    settings.update({"plan": "premium", "quota_window_seconds": 5, "user_quota": None, "bucket_enforced": True})
    assert (settings.plan, settings.quota_window_seconds, settings.bucket_enforced) == ("premium", 5, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "No such setting: colour"),
        ({"plan": "gold"}, "plan must be one of 'free', 'starter', 'premium', 'enterprise', not 'gold'"),
        ({"plan": None}, "plan must be one of"),
        ({"wrong_token_status": "401"}, "wrong_token_status must be one of 401, 403"),
        ({"quota_enforced": 1}, "quota_enforced must be true or false, not 1"),
        ({"organization_quota": 0}, "organization_quota must be more than 0"),
        ({"organization_quota": -3}, "organization_quota must be more than 0"),
        ({"organization_quota": 2.5}, "organization_quota must be an integer or null"),
        ({"organization_quota": True}, "organization_quota must be an integer or null"),
        ({"quota_window_seconds": 0}, "must be more than 0"),
        ({"quota_window_seconds": float("nan")}, "must be more than 0"),
        ({"quota_window_seconds": float("inf")}, "must be more than 0"),
        ({"quota_window_seconds": "1h"}, "quota_window_seconds must be a number"),
        ({"bucket_rate": -1}, "bucket_rate must be 0 or more"),
        ({"bucket_capacity": 0.5}, "bucket_capacity must be 1 or more"),
        ({"largest_page_size": 0}, "largest_page_size must be 1 or more"),
        ({"quota_text": 5}, "quota_text must be a text"),
    ],
)
def test_an_invalid_setting_is_refused_and_nothing_is_changed(changes: dict[str, Any], message: str) -> None:
    settings = Settings()
    with pytest.raises(SettingError, match=message):
        settings.update({"report_range_days": 10, **changes})
    assert settings == Settings()


def test_every_setting_can_be_set_to_its_own_default() -> None:
    Settings().update(Settings().as_dict())
