from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.idempotency import (
    LOOKUP_DELAYS,
    MAX_SENDS,
    WriteResult,
    is_outcome_unknown,
    write_once,
)
from airflow_provider_toggl.core.client.transport import NotSent

LATER = datetime(2026, 11, 20, 9, tzinfo=timezone.utc)
CUT = errors.ConnectionTrouble("the connection was cut.")
USED_UP = errors.QuotaExhausted("used up", resets_at=LATER, lane="user", known_before=True)
LIMITED = errors.RateLimited("too many", retry_at=LATER, reported=True)
REFUSED = errors.PayloadRefused("no", status=400)


class Toggl:
    """Answers sends and lookups by scripts, and records what it was asked and what was recorded."""

    def __init__(self, sends: list[Any], looks: list[Any] | None = None) -> None:
        self._scripts = {"send": sends, "look": looks or []}
        self.asked: list[str] = []
        self.clock = FakeClock()

    def _ask(self, what: str) -> Any:
        self.asked.append(what)
        line = self._scripts[what].pop(0)
        if isinstance(line, Exception):
            raise line
        return line

    def record_doubt(self, doubt: bool) -> None:
        self.asked.append("in doubt" if doubt else "no doubt")

    def write(self, **options: Any) -> WriteResult[Any]:
        return write_once(
            lambda: self._ask("send"),
            lambda: self._ask("look"),
            record_doubt=self.record_doubt,
            clock=self.clock,
            **options,
        )


def test_a_write_is_sent_once_and_recorded_as_in_doubt_meanwhile():
    toggl = Toggl(["made"])
    assert toggl.write() == WriteResult("made", created=True)
    assert toggl.asked == ["in doubt", "send", "no doubt"]


@pytest.mark.parametrize("looks", [["there"], [None, "there"]], ids=["at once", "after a while"])
def test_a_write_that_is_found_after_a_lost_response_is_not_sent_again(looks: list[Any]):
    toggl = Toggl([CUT], list(looks))
    assert toggl.write() == WriteResult("there", created=False)
    assert toggl.asked == ["in doubt", "send", *["look"] * len(looks), "no doubt"]
    assert toggl.clock.slept == list(LOOKUP_DELAYS[: len(looks)])


def test_a_write_that_no_lookup_finds_is_sent_again():
    toggl = Toggl([CUT, "made"], [None] * len(LOOKUP_DELAYS))
    assert toggl.write() == WriteResult("made", created=True)
    assert toggl.asked == ["in doubt", "send", *["look"] * len(LOOKUP_DELAYS), "in doubt", "send", "no doubt"]


def test_the_write_of_an_earlier_try_is_looked_up_first():
    toggl = Toggl([], ["there"])
    assert toggl.write(in_doubt=True) == WriteResult("there", created=False)
    assert toggl.asked == ["look", "no doubt"]
    assert toggl.clock.slept == []


def test_the_last_error_is_raised_after_a_last_lookup_and_the_doubt_stays():
    toggl = Toggl([CUT] * MAX_SENDS, [None] * len(LOOKUP_DELAYS) * MAX_SENDS)
    with pytest.raises(errors.ConnectionTrouble):
        toggl.write()
    assert toggl.asked.count("send") == MAX_SENDS
    assert toggl.asked[-2:] == ["look", "look"]
    assert "no doubt" not in toggl.asked


@pytest.mark.parametrize("refusal", [REFUSED, USED_UP, LIMITED, NotSent("no name")], ids=lambda one: type(one).__name__)
def test_a_refusal_ends_the_doubt_unless_an_earlier_request_is_in_doubt(refusal: Exception):
    toggl = Toggl([refusal])
    with pytest.raises(type(refusal)):
        toggl.write()
    assert toggl.asked == ["in doubt", "send", "no doubt"]
    toggl = Toggl([CUT, refusal], [None] * len(LOOKUP_DELAYS))
    with pytest.raises(type(refusal)):
        toggl.write()
    assert toggl.asked[-2:] == ["send", "in doubt"]


@pytest.mark.parametrize("in_doubt", [False, True])
def test_a_failed_lookup_leaves_the_outcome_unknown_and_sends_nothing_again(in_doubt: bool):
    toggl = Toggl([] if in_doubt else [CUT], [errors.AccessDenied("not yours", status=403)])
    with pytest.raises(errors.OutcomeUnknown, match=r"not yours.*not sent again") as caught:
        toggl.write(in_doubt=in_doubt)
    assert caught.value.status == 403
    assert toggl.asked.count("send") == (0 if in_doubt else 1)
    assert "no doubt" not in toggl.asked


@pytest.mark.parametrize("stop", [USED_UP, LIMITED], ids=lambda one: type(one).__name__)
def test_a_lookup_without_quota_raises_and_the_doubt_stays(stop: Exception):
    toggl = Toggl([CUT], [stop])
    with pytest.raises(type(stop)):
        toggl.write()
    assert toggl.asked == ["in doubt", "send", "look"]


def test_a_duplicate_is_resolved_only_after_a_lookup_that_found_nothing():
    settled: list[str] = []

    def resolve(thing: str) -> WriteResult[str]:
        settled.append(thing)
        return WriteResult("the other", created=False)

    assert Toggl(["made"]).write(resolve_duplicate=resolve) == WriteResult("made", created=True)
    assert settled == []
    assert Toggl(["made"], [None]).write(resolve_duplicate=resolve, in_doubt=True) == WriteResult(
        "the other", created=False
    )
    assert settled == ["made"]


@pytest.mark.parametrize(
    ("error", "doubt"),
    [
        (CUT, True),
        (errors.ServerTrouble("x", status=502), True),
        (errors.MalformedAnswer("x"), True),
        (errors.PayloadRefused("x", status=408), True),
        (NotSent("x"), False),
        (REFUSED, False),
        (errors.NotFound("x", status=404), False),
        (USED_UP, False),
        (LIMITED, False),
    ],
    ids=lambda one: type(one).__name__,
)
def test_some_errors_leave_the_outcome_unknown(error: errors.ApiError, doubt: bool):
    assert is_outcome_unknown(error) is doubt
