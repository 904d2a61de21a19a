from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import START, answer, quota_headers

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.responses import (
    MAX_TEXT,
    build_error,
    is_quota_refusal,
    read_error_text,
    read_quota_headers,
    read_reset_seconds,
    read_retry_after,
)
from airflow_provider_toggl.core.client.transport import OutgoingRequest
from airflow_provider_toggl.core.clock import utc

QUOTA_TEXTS = [
    b"You have hit your hourly limit for API calls. Your quota will reset in 1838 seconds.",
    b"You have hit your hourly limit for API calls. The quota will reset in 133 seconds.",
    b"Your hourly limit of API requests was reached. Please try again in 2174 seconds.",
]


@pytest.mark.parametrize(
    ("status", "body", "path", "kind"),
    [
        (200, b"", "/api/v9/me", type(None)),
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
def test_each_status_has_its_own_type_of_error(status, body, path, kind):
    error = build_error(answer(status, body, call=OutgoingRequest("GET", path)), lane="user")
    assert type(error) is kind


@pytest.mark.parametrize("body", QUOTA_TEXTS)
def test_each_known_text_of_a_quota_refusal_is_recognized_and_its_seconds_are_read(body):
    refused = answer(402, body)
    assert is_quota_refusal(refused)
    assert read_reset_seconds(refused) in {1838.0, 133.0, 2174.0}


def test_the_header_takes_precedence_over_the_text():
    assert read_reset_seconds(answer(402, QUOTA_TEXTS[0], headers=quota_headers(0, 12))) == 12.0


@pytest.mark.parametrize(
    ("body", "remaining", "is_quota"), [(b'"Tasks are a premium feature"', 0, False), (b"", 0, True), (b"", 7, False)]
)
def test_any_other_402_is_about_the_quota_if_none_is_left(body, remaining, is_quota):
    assert is_quota_refusal(answer(402, body, headers=quota_headers(remaining, 100))) is is_quota


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"start_date must not be earlier"', "start_date must not be earlier"),
        (b'{"message": "no"}', "no"),
        (b"<html><title>429 Too Many Requests</title><body>..", "429 Too Many Requests"),
        (b"x" * 10_000, "x" * MAX_TEXT + "…"),
    ],
    ids=["json", "object", "html", "long"],
)
def test_an_error_has_toggl_s_text_shortened(body, text):
    assert read_error_text(answer(500, body)) == text
    assert text in str(build_error(answer(400, body), lane="user"))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("Thu, 28 May 2026 20:26:50 GMT", 10.0),
        ("Thu, 28 May 2026 20:26:30 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, seconds):
    asked = answer(429, b"", headers={"retry-after": value, "date": "Thu, 28 May 2026 20:26:40 GMT"})
    assert read_retry_after(asked) == seconds


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Wed, 11 Dec 2024 17:43:57 GMT", datetime(2024, 12, 11, 17, 43, 57, tzinfo=timezone.utc)),
        ("yesterday", utc(START)),
    ],
)
def test_a_response_has_toggl_s_date_or_the_time_of_its_receipt(header, moment):
    assert answer(headers={"date": header}).date == moment


def test_quota_headers_without_numbers_are_ignored():
    assert read_quota_headers(answer(headers={"x-toggl-quota-remaining": "many"})) is None


def test_a_response_that_is_not_json_is_malformed():
    with pytest.raises(errors.MalformedAnswer, match="not JSON"):
        answer(200, b"<html>").json()


@given(status=st.integers(300, 599), body=st.binary(max_size=400))
def test_any_refusal_becomes_a_typed_error(status, body):
    assert isinstance(build_error(answer(status, body), lane="user"), errors.ApiError)
