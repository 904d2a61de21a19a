"""Responses of Toggl: their quota headers, their text, and the typed error that each stands for. No I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import QuotaReading
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import (
    AccessDenied,
    ApiError,
    Gone,
    MalformedAnswer,
    NotFound,
    PayloadRefused,
    PlanLacksFeature,
    QuotaExhausted,
    RateLimited,
    ServerTrouble,
    WrongCredentials,
)

#: Characters of Toggl's text that errors show: enough to understand it, too few to fill a log.
MAX_TEXT = 300
#: Used when a 429 does not say how long to wait. Toggl's documentation says "a few minutes".
DEFAULT_RETRY_SECONDS = 180.0

# Toggl answers 402 for two reasons: the hourly quota and the plan. These texts were observed for each.
_QUOTA_TEXT = re.compile(r"hourly limit|quota|limit of api requests", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+)\s*seconds?", re.IGNORECASE)
_PLAN_TEXT = re.compile(r"premium|starter|plan|feature|upgrade|available (only )?for", re.IGNORECASE)
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class TogglResponse:
    """A complete response of Toggl.

    :param headers: with lower-case names.
    :param received_at: when it was received, in seconds since the epoch by this machine's clock.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def date(self) -> datetime:
        """When Toggl answered, in UTC: its ``Date`` header (whole seconds), or our clock without one."""
        try:
            moment = parsedate_to_datetime(self.headers["date"])
        except (KeyError, TypeError, ValueError):
            return utc(self.received_at)
        return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the decoded body, None if it is empty.

        :raises MalformedAnswer: it is not JSON.
        """
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            content_type = self.headers.get("content-type", "no content type")
            raise MalformedAnswer(
                f"{self.method} {self.path} was answered {self.status} with {len(self.body)} bytes that are not JSON "
                f"({content_type}). A proxy may have answered in Toggl's place. Try again, and check the proxy if this "
                "persists.",
                status=self.status,
            ) from None

    def header_int(self, name: str) -> int | None:
        """Return a header as an integer, None if it is missing or not an integer."""
        value = self.headers.get(name, "")
        return int(value) if re.fullmatch(r"-?\d{1,18}", value) else None


def read_quota_headers(response: TogglResponse) -> QuotaReading | None:
    """Return what the quota headers report, None if there are none."""
    remaining = response.header_int("x-toggl-quota-remaining")
    if remaining is None:
        return None
    resets_in = response.header_int("x-toggl-quota-resets-in")
    return QuotaReading(remaining, None if resets_in is None else float(resets_in))


def read_error_text(response: TogglResponse) -> str:
    """Return the text of an error response, shortened, on one line."""
    text = response.body[: 16 * MAX_TEXT].decode("utf-8", "replace").strip()
    title = _TITLE.search(text)
    if title:
        text = title.group(1)
    else:
        try:
            decoded = json.loads(text)
        except ValueError:
            decoded = text
        if isinstance(decoded, dict):
            decoded = decoded.get("message") or decoded.get("error") or json.dumps(decoded)
        text = decoded if isinstance(decoded, str) else json.dumps(decoded)
    text = " ".join(text.split())
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


def is_quota_refusal(response: TogglResponse) -> bool:
    """Return whether a response is a 402 of the hourly quota: by its text, or by its headers if the text is unknown."""
    if response.status != 402:
        return False
    text = read_error_text(response)
    if _QUOTA_TEXT.search(text):
        return True
    reading = read_quota_headers(response)
    return reading is not None and reading.remaining <= 0 and not _PLAN_TEXT.search(text)


def read_reset_seconds(response: TogglResponse) -> float | None:
    """Return the seconds until a refused quota resets, from the header or else the text; None if neither says."""
    reading = read_quota_headers(response)
    if reading is not None and reading.resets_in is not None:
        return reading.resets_in
    found = _SECONDS.search(read_error_text(response))
    return float(found.group(1)) if found else None


def read_retry_after(response: TogglResponse) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, as a number or a date; None if it is missing."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - response.date).total_seconds())


def build_error(response: TogglResponse, *, lane: str, resets_at: float | None = None) -> ApiError | None:
    """Return the error that a response stands for, None for a 2xx response.

    :param lane: name of the lane that the request was charged to.
    :param resets_at: for a quota refusal, when the lane resets, in seconds since the epoch.
    """
    status = response.status
    if 200 <= status < 300:
        return None
    if is_quota_refusal(response):
        moment = utc(resets_at if resets_at is not None else response.received_at)
        return build_quota_error(lane, moment, known_before=False, text=read_error_text(response))
    text = read_error_text(response)
    asked = f"{response.method} {response.path} was answered {status}"
    said = f": {text.rstrip('.')}" if text else ""
    if status == 429:
        wait = read_retry_after(response)
        again = utc(response.received_at + (DEFAULT_RETRY_SECONDS if wait is None else wait))
        what = f"{asked}: too many requests at once for this token and address"
        return RateLimited(
            f"{what}. Try again after {again:%H:%M:%S} UTC; lower requests_per_second in the connection if other "
            "programs use the token.",
            retry_at=again,
            reported=wait is not None,
            text=text,
            what=what,
        )
    kind, meaning = _explain(response, text)
    return kind(f"{asked}{said}. {meaning}", status=status, text=text, what=f"{asked}{said}")


def build_quota_error(lane: str, resets_at: datetime, *, known_before: bool, text: str = "") -> QuotaExhausted:
    """Return the error for a lane that has no requests left."""
    how = "No request was sent" if known_before else "Toggl refused a request (402)"
    what = f"The hourly quota of Toggl for {lane} is used up"
    return QuotaExhausted(
        f"{what} until {resets_at:%Y-%m-%d %H:%M:%S} UTC. {how}. Wait for the reset, or lower quota_reserve in the "
        "connection. A larger plan has a larger quota.",
        resets_at=resets_at,
        lane=lane,
        known_before=known_before,
        status=None if known_before else 402,
        text=text,
        what=what,
    )


def build_share_error(lane: str, back_at: datetime) -> QuotaExhausted:
    """Return the error for a lane in which only the shares of other tasks are left."""
    what = f"The rest of the hourly quota of Toggl for {lane} is the share of other tasks"
    return QuotaExhausted(
        f"{what}. No request was sent. Try again at {back_at:%Y-%m-%d %H:%M:%S} UTC, when they can have used it.",
        resets_at=back_at,
        lane=lane,
        known_before=True,
        what=what,
    )


def build_pace_error(lane: str, back_at: datetime) -> QuotaExhausted:
    """Return the error for a task before which many others wait for a permit."""
    what = "Many tasks wait for the request rate that they share"
    return QuotaExhausted(
        f"{what}. No request was sent. Try again at {back_at:%Y-%m-%d %H:%M:%S} UTC, when it is this task's turn.",
        resets_at=back_at,
        lane=lane,
        known_before=True,
        waits_for="permit",
        what=what,
    )


_MEANINGS: dict[int, tuple[type[ApiError], str]] = {
    401: (
        WrongCredentials,
        "The API token is not valid: copy it again from your Toggl profile into the connection's password.",
    ),
    402: (
        PlanLacksFeature,
        "The workspace's plan does not include this. The request will fail until the plan changes.",
    ),
    403: (
        AccessDenied,
        (
            "The token is valid but has no access here: check the workspace ID, and that the token's owner is a member "
            "with the necessary rights."
        ),
    ),
    404: (NotFound, "Nothing has that ID: check the IDs in the path."),
    410: (Gone, "This endpoint is retired and must not be called again: update this package."),
}


def _explain(response: TogglResponse, text: str) -> tuple[type[ApiError], str]:
    status = response.status
    # Toggl documents a 403 for wrong credentials, and Reports sends one.
    if status == 403 and (response.path.startswith("/api/v9/me") or "incorrect username" in text.lower()):
        status = 401
    if status in _MEANINGS:
        return _MEANINGS[status]
    if status < 400:
        return PayloadRefused, "It redirects to another host, and the token is not sent there: check the base URL."
    if status >= 500:
        return ServerTrouble, "Toggl has a problem; try again later (https://status.toggl.com)."
    return PayloadRefused, "Toggl does not accept this request; sending it again will not help."
