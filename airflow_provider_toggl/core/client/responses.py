"""What an answer of Toggl means: its quota headers, its text, and the typed error that it stands for. No I/O."""

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

#: Enough of Toggl's text to understand it, not enough to fill a log.
MAX_TEXT = 300
#: When a 429 does not say how long: Toggl's documents say "a few minutes".
DEFAULT_RETRY_SECONDS = 180.0

# Toggl has two 402s with one status; these are the texts seen of each.
_QUOTA_TEXT = re.compile(r"hourly limit|quota|limit of api requests", re.IGNORECASE)
_SECONDS = re.compile(r"(\d+)\s*seconds?", re.IGNORECASE)
_PLAN_TEXT = re.compile(r"premium|starter|plan|feature|upgrade|available (only )?for", re.IGNORECASE)
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class TogglResponse:
    """One answer of Toggl, read to its end.

    :param headers: with lower-case names.
    :param received_at: when it came, seconds since the epoch by this machine's clock.
    """

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: float

    @property
    def date(self) -> datetime:
        """When Toggl answered, in UTC, by Toggl's clock (its ``Date`` header, whole seconds); ours without one."""
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
        """Return the body, decoded.

        :raises MalformedAnswer: it is not JSON.
        """
        try:
            return json.loads(self.body) if self.body else None
        except (ValueError, RecursionError):
            kind = self.headers.get("content-type", "no content type")
            raise MalformedAnswer(
                f"{self.method} {self.path} was answered {self.status} with {len(self.body)} bytes that are not JSON "
                f"({kind}). "
                "Something between here and Toggl may have answered in its place; try again, and look at the proxy if "
                "it stays.",
                status=self.status,
            ) from None

    def header_int(self, name: str) -> int | None:
        """Return a header as a whole number, None where it is missing or is not one."""
        value = self.headers.get(name, "")
        return int(value) if re.fullmatch(r"-?\d{1,18}", value) else None


def read_quota_headers(answer: TogglResponse) -> QuotaReading | None:
    """Return what the quota headers say, None where they say nothing."""
    remaining = answer.header_int("x-toggl-quota-remaining")
    if remaining is None:
        return None
    resets_in = answer.header_int("x-toggl-quota-resets-in")
    return QuotaReading(remaining, None if resets_in is None else float(resets_in))


def read_error_text(answer: TogglResponse) -> str:
    """Return what an error's body says in words, shortened, on one line."""
    text = answer.body[: 16 * MAX_TEXT].decode("utf-8", "replace").strip()
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


def is_quota_refusal(answer: TogglResponse) -> bool:
    """Tell a 402 of the hourly quota from one of the plan: by its text, and by its headers where that says neither."""
    if answer.status != 402:
        return False
    text = read_error_text(answer)
    if _QUOTA_TEXT.search(text):
        return True
    told = read_quota_headers(answer)
    return told is not None and told.remaining <= 0 and not _PLAN_TEXT.search(text)


def read_reset_seconds(answer: TogglResponse) -> float | None:
    """Return in how many seconds a refused quota resets: from the header, else from the text, else None."""
    told = read_quota_headers(answer)
    if told is not None and told.resets_in is not None:
        return told.resets_in
    found = _SECONDS.search(read_error_text(answer))
    return float(found.group(1)) if found else None


def read_retry_after(answer: TogglResponse) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (a number or a date), None where it is missing."""
    value = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - answer.date).total_seconds())


def build_error(answer: TogglResponse, *, lane: str, resets_at: float | None = None) -> ApiError | None:
    """Return the error that an answer stands for, None for a good one.

    :param resets_at: when the lane resets, for a quota refusal, in seconds since the epoch.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    if is_quota_refusal(answer):
        moment = utc(resets_at if resets_at is not None else answer.received_at)
        return build_quota_error(lane, moment, known_before=False, text=read_error_text(answer))
    text = read_error_text(answer)
    asked = f"{answer.method} {answer.path} was answered {status}"
    said = f": {text.rstrip('.')}" if text else ""
    if status == 429:
        wait = read_retry_after(answer)
        again = utc(answer.received_at + (DEFAULT_RETRY_SECONDS if wait is None else wait))
        what = f"{asked}: too many requests at once for this token and address"
        return RateLimited(
            f"{what}. Try again after {again:%H:%M:%S} UTC; lower requests_per_second in the connection if other "
            "programs use the token.",
            retry_at=again,
            told=wait is not None,
            text=text,
            what=what,
        )
    kind, meaning = _meaning(answer, text)
    return kind(f"{asked}{said}. {meaning}", status=status, text=text, what=f"{asked}{said}")


def build_quota_error(lane: str, resets_at: datetime, *, known_before: bool, text: str = "") -> QuotaExhausted:
    """Return the error of a used-up lane."""
    how = "No request was sent" if known_before else "Toggl refused a request (402)"
    what = f"The hourly quota of Toggl for {lane} is used up"
    return QuotaExhausted(
        f"{what} until {resets_at:%Y-%m-%d %H:%M:%S} UTC. {how}. Wait for the reset, or lower "
        "quota_reserve in the connection if requests are kept back; a larger plan has a larger quota.",
        resets_at=resets_at,
        lane=lane,
        known_before=known_before,
        status=None if known_before else 402,
        text=text,
        what=what,
    )


def build_share_error(lane: str, back_at: datetime) -> QuotaExhausted:
    """Return the error of a lane of which only the shares of other tasks are left."""
    what = f"What is left of the hourly quota of Toggl for {lane} is the share of other tasks that wait for it"
    return QuotaExhausted(
        f"{what}. No request was sent. Look again at {back_at:%Y-%m-%d %H:%M:%S} UTC, when they can have used it.",
        resets_at=back_at,
        lane=lane,
        known_before=True,
        what=what,
    )


def _meaning(answer: TogglResponse, text: str) -> tuple[type[ApiError], str]:
    status = answer.status
    if status == 401 or (status == 403 and _is_login(answer.path, text)):
        return (
            WrongCredentials,
            "The API token is not valid: copy it again from your Toggl profile into the connection's password.",
        )
    if status == 403:
        return AccessDenied, (
            "The token is valid but may not see this: check the workspace id, and that the token's owner is a member "
            "with the rights for it."
        )
    if status == 404:
        return NotFound, "There is nothing at that address: check the ids in it."
    if status == 410:
        return Gone, "This address is retired and must not be asked again: update this package."
    if status == 402:
        return (
            PlanLacksFeature,
            "The workspace's plan does not have this; the same request will not work until the plan changes.",
        )
    if 300 <= status < 400:
        return (
            PayloadRefused,
            "It points elsewhere, and requests with a token are not sent to another address: check the base URL.",
        )
    if status >= 500:
        return ServerTrouble, "Toggl has trouble of its own; try again later (https://status.toggl.com)."
    return PayloadRefused, "Toggl does not take this request as it is; sending it again will not help."


def _is_login(path: str, text: str) -> bool:
    """Whether a 403 speaks of the token: Toggl documents 403 for wrong credentials, and Reports says so in words."""
    return "incorrect username" in text.lower() or path.startswith("/api/v9/me")
