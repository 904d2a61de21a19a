from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import answer, quota_headers

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.responses import (
    build_error,
    is_quota_refusal,
    read_error_text,
    read_quota_headers,
    read_reset_seconds,
    read_retry_after,
)
from airflow_provider_toggl.core.client.transport import OutgoingRequest

QUOTA_TEXTS = [
    b"You have hit your hourly limit for API calls. Your quota will reset in 1838 seconds.",
    b"You have hit your hourly limit for API calls. The quota will reset in 133 seconds.",
    b"Your hourly limit of API requests was reached. Please try again in 2174 seconds.",
]


@pytest.mark.parametrize(
    ("status", "body", "path", "kind"),
    [
        (401, b"", "/api/v9/workspaces/1/projects", errors.WrongCredentials),
        (403, b"", "/api/v9/me", errors.WrongCredentials),
        (403, b"Incorrect username and/or password", "/reports/api/v3/workspace/1/x", errors.WrongCredentials),
        (403, b'"Workspace not found/accessible"', "/reports/api/v3/workspace/1/x", errors.AccessDenied),
        (404, b'"No client with ID 5 was found"', "/api/v9/workspaces/1/clients/5", errors.NotFound),
        (410, b"", "/api/v8/me", errors.Gone),
        (402, b'"Custom project colors available only for premium plans"', "/api/v9/x", errors.PlanLacksFeature),
        (402, b'"Workspace needs to have this feature enabled"', "/api/v9/x", errors.PlanLacksFeature),
        (402, QUOTA_TEXTS[0], "/api/v9/x", errors.QuotaExhausted),
        (429, b"<html><title>429 Too Many Requests</title></html>", "/api/v9/x", errors.RateLimited),
        (400, b'"Maximum allowed date range is 365 days"', "/api/v9/x", errors.PayloadRefused),
        (418, b"", "/api/v9/x", errors.PayloadRefused),
        (302, b"", "/api/v9/x", errors.PayloadRefused),
        (500, b"", "/api/v9/x", errors.ServerTrouble),
        (503, b"", "/api/v9/x", errors.ServerTrouble),
    ],
)
def test_each_refusal_has_its_own_type(status, body, path, kind):
    error = build_error(answer(status, body, call=OutgoingRequest("GET", path)), lane="user")
    assert type(error) is kind


def test_a_2xx_response_is_no_error():
    assert build_error(answer(200, []), lane="user") is None


@pytest.mark.parametrize("body", QUOTA_TEXTS)
def test_each_known_text_of_a_quota_refusal_is_recognized_and_its_seconds_are_read(body):
    refused = answer(402, body)
    assert is_quota_refusal(refused)
    assert read_reset_seconds(refused) in {1838.0, 133.0, 2174.0}


def test_the_header_takes_precedence_over_the_text():
    assert read_reset_seconds(answer(402, QUOTA_TEXTS[0], headers=quota_headers(0, 12))) == 12.0


def test_a_plan_refusal_on_the_last_request_of_the_quota_is_about_the_plan():
    refused = answer(402, b'"Tasks are a premium feature"', headers=quota_headers(0, 100))
    assert not is_quota_refusal(refused)


def test_a_402_without_text_is_about_the_quota_if_none_is_left():
    assert is_quota_refusal(answer(402, b"", headers=quota_headers(0, 100)))


def test_a_402_without_text_is_about_the_plan_if_quota_is_left():
    assert not is_quota_refusal(answer(402, b"", headers=quota_headers(7, 100)))


def test_the_error_contains_toggl_s_text():
    error = build_error(answer(400, b'"start_date must not be earlier than 2026-08-01"'), lane="user")
    assert "must not be earlier than 2026-08-01" in str(error)


def test_a_long_text_is_shortened():
    assert len(read_error_text(answer(500, b"x" * 10_000))) < 400


def test_the_text_of_an_html_page_is_its_title():
    assert (
        read_error_text(answer(429, b"<html><title>429 Too Many Requests</title><body>..")) == "429 Too Many Requests"
    )


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("Thu, 28 May 2026 20:26:50 GMT", 10.0), ("soon", None), ("", None)]
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    asked = answer(429, b"", headers={"retry-after": value, "date": "Thu, 28 May 2026 20:26:40 GMT"})
    assert read_retry_after(asked) == seconds


def test_the_date_of_a_response_is_toggl_s():
    moment = answer(headers={"date": "Wed, 11 Dec 2024 17:43:57 GMT"}).date
    assert moment == datetime(2024, 12, 11, 17, 43, 57, tzinfo=timezone.utc)


def test_without_a_date_header_the_date_is_ours():
    assert answer(headers={"date": "yesterday"}).date.year == 2026


def test_quota_headers_without_numbers_are_ignored():
    assert read_quota_headers(answer(headers={"x-toggl-quota-remaining": "many"})) is None


def test_a_response_that_is_not_json_is_malformed():
    with pytest.raises(errors.MalformedAnswer, match="not JSON"):
        answer(200, b"<html>").json()


@given(status=st.integers(300, 599), body=st.binary(max_size=400))
def test_any_refusal_becomes_a_typed_error(status, body):
    assert isinstance(build_error(answer(status, body), lane="user"), errors.ApiError)
