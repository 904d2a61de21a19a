from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import pytest
from support.fakes import START, FakeClock, answer, fake_session, quota_headers, replies
from support.metrics import recording

from airflow_provider_toggl.core import errors, metrics
from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.state_file import StateFile
from airflow_provider_toggl.core.client.session import observe_waits
from airflow_provider_toggl.core.client.transport import NotSent, OutgoingRequest
from airflow_provider_toggl.core.clock import utc

ENTRIES = "/api/v9/workspaces/7/time_entries"
REPORT = "/reports/api/v3/workspace/7/search/time_entries"


build = partial(fake_session, rate=1.0)


def test_requests_keep_the_pace():
    session, _, clock = build(replies(answer()))
    for _ in range(5):
        session.request("GET", "/api/v9/me")
    assert clock.time - START == 4.0


def shared(total, rate=1.0):
    """Return two sessions of one book and one lane of so many requests, and their clock."""
    clock, state, left = FakeClock(), RateLimitState(None, "t"), [total]

    def reply(call):
        left[0] -= 1
        return answer(headers=quota_headers(left[0], int(START + 3600 - clock.time)))

    return [build(reply, clock=clock, state=state, rate=rate)[0] for _ in range(2)], clock


def test_a_claimant_without_a_share_waits_a_short_time_for_the_others():
    (one, other), clock = shared(20)
    with other.claiming("other"):
        other.request("GET", ENTRIES)
        with one.claiming("one"):
            for _ in range(10):
                one.request("GET", ENTRIES)
            before = clock.time
            with pytest.raises(errors.QuotaExhausted, match="share of other tasks") as stop:
                one.request("GET", ENTRIES)
        # It waited for half a minute at most, and may come back before the window is over.
        assert 10 < clock.time - before <= 30
        assert stop.value.known_before
        assert stop.value.resets_at.timestamp() < START + 60


def test_a_claimant_without_a_share_does_not_wait_long_for_the_others():
    (one, other), clock = shared(800, rate=10.0)
    with other.claiming("other"):
        other.request("GET", ENTRIES)
        with one.claiming("one"):
            for _ in range(400):
                one.request("GET", ENTRIES)
            before = clock.time
            with pytest.raises(errors.QuotaExhausted):
                one.request("GET", ENTRIES)
        assert clock.time == before


@pytest.mark.parametrize(
    ("error", "withdrawn"),
    [
        (None, ["task"]),
        (LookupError(), ["task"]),
        (errors.QuotaExhausted("", resets_at=utc(START), lane="user", known_before=True), []),
    ],
    ids=["it ends", "it fails", "it waits for the reset"],
)
def test_a_task_keeps_its_share_only_if_it_waits_for_the_reset(
    error: Exception | None, withdrawn: list[str], monkeypatch: pytest.MonkeyPatch
):
    state, found = RateLimitState(None, "t"), []
    monkeypatch.setattr(state, "withdraw", lambda claimant, now: found.append(claimant.name))
    session, _, _ = build(replies(answer()), state=state)
    with suppress(LookupError, errors.QuotaExhausted), session.claiming("task"):
        if error is not None:
            raise error
    assert found == withdrawn


def test_no_more_is_kept_for_a_task_than_it_declared():
    (one, other), clock = shared(10)
    with other.claiming("other"), one.claiming("one"):
        other.expect(3)
        for _ in range(2):
            other.request("GET", ENTRIES)
        before = clock.time
        for _ in range(7):
            one.request("GET", ENTRIES)
        assert clock.time - before < 10
        other.request("GET", ENTRIES)


def test_the_pace_counts_from_the_response():
    clock, state = FakeClock(), RateLimitState(None, "t")
    session, transport, _ = build(replies(answer()), clock=clock, state=state)
    answer_at: list[float] = []

    def send(outgoing: OutgoingRequest):
        clock.time += 0.4
        answer_at.append(clock.time)
        return answer(at=clock.time)

    transport.send = send
    session.request("GET", "/api/v9/me")
    session.request("GET", "/api/v9/me")
    assert answer_at[1] - answer_at[0] == pytest.approx(1.4)


def test_a_request_that_failed_does_not_block_the_next_one():
    clock, state = FakeClock(), RateLimitState(None, "t")
    one, _, _ = build(replies(NotSent("no route"), answer()), clock=clock, state=state)
    one.request("GET", "/api/v9/me")
    assert clock.time - START < 5.0


def test_a_refusal_that_the_headers_announced_costs_no_request():
    session, transport, clock = build(replies(answer(headers=quota_headers(5, 100))), reserve=5)
    session.request("GET", ENTRIES)
    with pytest.raises(errors.QuotaExhausted) as caught:
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 1
    assert caught.value.known_before
    assert 100 <= caught.value.resets_at.timestamp() - START <= 102
    session.request("GET", "/api/v9/me")  # of another lane
    clock.time += 101
    session.request("GET", ENTRIES)
    assert len(transport.calls) == 3


def test_a_quota_refusal_is_raised_and_recorded():
    text = b"You have hit your hourly limit for API calls. Your quota will reset in 60 seconds."
    session, transport, clock = build(replies(answer(402, text)))
    with pytest.raises(errors.QuotaExhausted) as caught:
        session.request("GET", ENTRIES)
    assert not caught.value.known_before
    with pytest.raises(errors.QuotaExhausted):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 1
    clock.time += 61
    with pytest.raises(errors.QuotaExhausted):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 2


CUT = errors.ConnectionTrouble("cut")


@pytest.mark.parametrize(
    ("method", "path", "failures", "idempotent", "is_sent_again"),
    [
        ("GET", ENTRIES, [answer(500, b""), answer(504, b"")], None, True),
        ("GET", ENTRIES, [CUT], False, False),
        ("POST", REPORT, [CUT], None, True),
        ("POST", ENTRIES, [CUT], None, False),
        ("POST", ENTRIES, [NotSent("no route")], None, True),
        ("PUT", f"{ENTRIES}/5", [answer(500, b"")], True, True),
    ],
    ids=["a read", "a read by order", "a report", "a write", "a write that was not sent", "an idempotent write"],
)
def test_a_request_is_sent_again_where_that_is_safe(method, path, failures, idempotent, is_sent_again):
    session, transport, _ = build(replies(*failures, answer(200, [1])))
    if is_sent_again:
        assert session.request(method, path, payload={}, idempotent=idempotent).json() == [1]
    else:
        with pytest.raises(errors.ConnectionTrouble):
            session.request(method, path, payload={}, idempotent=idempotent)
    assert len(transport.calls) == len(failures) + is_sent_again


def test_a_rate_limit_is_waited_for_even_by_a_write():
    session, transport, clock = build(replies(answer(429, b"", headers={"retry-after": "3"}), answer(200, {})))
    session.request("POST", ENTRIES, payload={})
    assert len(transport.calls) == 2
    assert clock.time - START >= 3


def test_a_long_rate_limit_is_raised():
    session, transport, _ = build(replies(answer(429, b"", headers={"retry-after": "600"})))
    with pytest.raises(errors.RateLimited):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 1


def test_a_rate_limit_pauses_all_sessions_with_the_token():
    state, clock = RateLimitState(None, "t"), FakeClock()
    limited = answer(429, b"", headers={"retry-after": "600"})
    one, other = (build(replies(reply), clock=clock, state=state)[0] for reply in (limited, answer()))
    with pytest.raises(errors.RateLimited):
        one.request("GET", ENTRIES)
    other.request("GET", ENTRIES)
    assert clock.time - START == 600


def test_a_rate_limit_that_is_over_is_not_waited_for():
    session, _, clock = build(replies(answer(429, b"", headers={"retry-after": "0"}), answer()), rate=200.0)
    session.request("GET", ENTRIES)
    assert clock.time - START < 1


def test_the_number_of_tries_is_limited():
    session, transport, _ = build(replies(answer(500, b"")))
    with pytest.raises(errors.ServerTrouble):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 5


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_final_error_is_not_retried(status):
    session, transport, _ = build(replies(answer(status, b'"no"')))
    with pytest.raises(errors.ApiError):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 1


def test_the_quota_can_be_asked_for():
    rows = [
        {"organization_id": None, "remaining": 29, "resets_in_secs": 3600, "total": 30},
        {"organization_id": 3, "remaining": -1, "resets_in_secs": 10, "total": 240},
    ]
    session, _, _ = build(replies(answer(200, rows)))
    lanes = session.read_quota()
    assert lanes["user"].remaining == 29
    assert lanes["organization:3"].remaining == 0


def test_the_organization_of_a_workspace_is_asked_for_once():
    session, transport, _ = build(replies(answer(200, {"id": 7, "organization_id": 3})))
    assert session.organization_of(7) == 3
    assert session.organization_of(7) == 3
    assert len(transport.calls) == 1
    assert session.lane_of(ENTRIES) == "organization:3"


def test_what_a_workspace_was_charged_moves_to_its_organization():
    session, transport, _ = build(
        replies(answer(200, {"organization_id": 3}, headers=quota_headers(1, 100))), reserve=1
    )
    session.organization_of(7)
    with pytest.raises(errors.QuotaExhausted, match="organization:3"):
        session.request("GET", ENTRIES)
    assert len(transport.calls) == 1


def test_a_function_is_called_before_each_wait_of_its_block():
    session, _, _ = build(replies(answer()))
    waits: list[float] = []
    with session.calling_before_waits(waits.append):
        for _ in range(2):
            session.request("GET", "/api/v9/me")
    assert waits == [1.0]
    session.request("GET", "/api/v9/me")
    assert waits == [1.0]


def test_an_estimate_sends_no_request_and_leaves_the_reserve():
    session, transport, _ = build(replies(answer(headers=quota_headers(9, 100))), reserve=2)
    session.request("GET", ENTRIES)
    estimate = session.estimate(12, ENTRIES)
    assert (estimate.requests, estimate.spare, estimate.total, estimate.waits) == (12, 7, 10, 1)
    assert len(transport.calls) == 1


def test_a_call_has_what_was_asked():
    session, transport, _ = build(replies(answer()))
    session.request("get", "/api/v9/me", params={"since": 5})
    assert transport.calls == [OutgoingRequest("GET", "/api/v9/me", {"since": 5}, None)]


def test_each_try_each_wait_and_what_is_left_of_the_lane_are_measured():
    script = (
        answer(headers=quota_headers(5, 100)),
        answer(503),
        answer(402, "You have hit your hourly limit for API calls.", headers=quota_headers(0, 90)),
    )
    session, _, _ = build(replies(*script))
    session.name = "mine"
    with recording() as recorder:
        session.request("GET", ENTRIES)
        with pytest.raises(errors.QuotaExhausted):
            session.request("GET", ENTRIES)
    lane = {"connection": "mine", "lane": "workspace:7"}
    assert recorder.of(metrics.REQUESTS) == [
        ({**lane, "api": "track", "status": status}, 1) for status in ("2xx", "5xx", "402")
    ]
    assert len(recorder.of(metrics.REQUEST_TIME)) == 3
    assert {tags["reason"] for tags, _ in recorder.of(metrics.WAIT)} == {"pace", "retry"}
    assert [value for tags, value in recorder.of(metrics.QUOTA_LEFT) if tags == lane] == [5, 4, 0, 0]


def test_a_request_without_an_answer_is_counted_as_one():
    session, _, _ = build(replies(NotSent("No way."), answer()))
    with recording() as recorder:
        session.request("GET", "/api/v9/me")
    assert [tags["status"] for tags, _ in recorder.of(metrics.REQUESTS)] == ["none", "2xx"]


# -- long waits are visible --------------------------------------------------------------------------------------------


def test_a_wait_for_a_permit_is_logged_when_it_begins_and_each_minute(caplog: pytest.LogCaptureFixture):
    session, _, clock = build(replies(answer()), rate=1 / 200)
    session.request("GET", "/api/v9/me")
    with caplog.at_level("INFO"):
        session.request("GET", "/api/v9/me")
    left = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert left == ["3 min left.", "2 min left.", "80 s left.", "20 s left."]
    assert clock.time - START == 200
    assert all("Waiting for the request rate that all tasks with this token share until" in r for r in caplog.messages)


def test_many_short_waits_in_a_row_are_logged_each_minute(caplog: pytest.LogCaptureFixture):
    state, clock = RateLimitState(None, "t"), FakeClock()
    session, _, _ = build(replies(answer()), clock=clock, state=state, rate=1 / 5)
    session.request("GET", "/api/v9/me")

    class Held(FakeClock):
        """Somebody else is refused again and again, so that each wait becomes another one."""

        def sleep(self, seconds: float) -> None:
            clock.sleep(seconds)
            if clock.time < START + 200:
                state.hold_back(6.9, clock.time)

        def now(self) -> float:
            return clock.now()

    held, _, _ = build(replies(answer()), clock=Held(), state=state, rate=1 / 5)
    with caplog.at_level("INFO"):
        held.request("GET", "/api/v9/me")
    assert 200 < clock.time - START < 230
    assert len(caplog.messages) == 3


def test_a_short_wait_is_not_logged(caplog: pytest.LogCaptureFixture):
    session, _, _ = build(replies(answer()))
    with caplog.at_level("INFO"):
        for _ in range(5):
            session.request("GET", "/api/v9/me")
    assert caplog.messages == []


def test_an_observer_surrounds_long_waits():
    session, _, clock = build(replies(answer(429, b"", headers={"retry-after": "20"}), answer()))
    seen: list[tuple[str, float, int]] = []

    @contextmanager
    def observer(*wait: Any) -> Iterator[None]:
        seen.append(wait)
        yield
        seen.append(("over", clock.time, session.spent))

    with observe_waits(observer):
        for _ in range(2):  # the second one waits for the pace, which is a second
            session.request("GET", "/api/v9/me")
    (reason, until, spent), (over, at, _) = seen
    assert (reason, spent, over) == ("retry", 1, "over")
    assert START + 20 <= until <= at
    session.request("GET", "/api/v9/me")
    assert len(seen) == 2


@pytest.mark.parametrize("headers", [{}, {"retry-after": "3"}], ids=["without a time", "with a time"])
def test_a_line_about_a_429_says_once_when_the_request_is_tried_again(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
):
    session, _, _ = build(replies(answer(429, b"", headers=headers), answer()))
    session.request("GET", "/api/v9/me")
    (line,) = [line for line in caplog.messages if "429" in line]
    assert re.fullmatch(
        r"GET /api/v9/me was answered 429: too many requests at once for this token and address\. "
        r"Trying again in \d+\.\d s \(1 of 4\)\.",
        line,
    )


@pytest.mark.parametrize("status", [429, 503])
def test_no_line_about_another_try_advises_a_person_to_try_again(status: int, caplog: pytest.LogCaptureFixture):
    session, _, _ = build(replies(answer(status, b"no"), answer()))
    session.request("GET", "/api/v9/me")
    assert [line for line in caplog.messages if re.search("try again|after \\d", line, re.IGNORECASE)] == []


def test_a_429_that_is_given_up_says_when_to_try_again():
    session, _, _ = build(replies(*[answer(429, b"")] * 5))
    with pytest.raises(errors.RateLimited, match=r"429: .*Try again after \d\d:\d\d:\d\d UTC"):
        session.request("GET", "/api/v9/me")


# -- a database of limits ----------------------------------------------------------------------------------------------


class FailingStore(StateFile):
    """Cannot be reached for some calls."""

    def __init__(self, failures: int) -> None:
        super().__init__(None)
        self.failures = failures

    def update(self, *arguments: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise errors.RateLimitStateUnavailable("The server cannot be reached.")
        return super().update(*arguments)


def test_while_the_database_of_limits_is_down_a_request_waits_a_while_and_is_not_sent(
    caplog: pytest.LogCaptureFixture,
):
    state = RateLimitState(FailingStore(1000), "t")
    session, transport, clock = build(replies(answer()), state=state)
    with pytest.raises(errors.RateLimitStateUnavailable, match="cannot be reached") as stop:
        session.request("GET", ENTRIES)
    assert state.record_quota_refusal("user", 60.0, START) == START + 60.0
    assert transport.calls == []
    assert 10 <= clock.time - START <= 30
    assert "The server cannot be reached. Trying again in 1 s." in caplog.text
    assert stop.value.what == "The database of the shared rate limits cannot be used"
    assert stop.value.waits_for == "database"
    assert isinstance(stop.value, errors.QuotaExhausted)


def test_a_short_outage_of_the_database_of_limits_costs_nothing_but_time():
    session, transport, clock = build(replies(answer()), state=RateLimitState(FailingStore(3), "t"))
    session.request("GET", ENTRIES)
    assert len(transport.calls) == 1
    assert clock.time - START == 7.0


def test_a_response_that_cannot_be_recorded_is_returned(caplog: pytest.LogCaptureFixture):
    store = FailingStore(0)

    def send(_: OutgoingRequest):
        store.failures = 1
        return answer(headers=quota_headers(5, 100))

    session, _, _ = build(send, state=RateLimitState(store, "t"))
    assert session.request("GET", ENTRIES).status == 200
    assert "were not updated" in caplog.text


def test_a_task_behind_many_others_gives_its_worker_slot_back_and_other_requests_wait():
    clock, state = FakeClock(), RateLimitState(None, "t")
    others = RateLimitState(state._store, "t")
    for number in range(40):
        others.acquire("user", pace=Pace(1.0), reserve=0, now=clock.time, claimant=Claimant(f"task {number}"))
    session, transport, _ = build(replies(answer()), clock=clock, state=state)
    with pytest.raises(errors.QuotaExhausted, match="when it is this task's turn") as stop, session.claiming("last"):
        session.request("GET", ENTRIES)
    assert transport.calls == []
    assert stop.value.waits_for == "permit"
    assert stop.value.resets_at.timestamp() == pytest.approx(START + 1 + 39 * 1.2)
    assert clock.time == START
    session.request("GET", "/api/v9/me")
    assert clock.time > START + 30
