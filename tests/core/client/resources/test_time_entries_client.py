from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import START, FakeTransport, answer, fake_session

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.time_entries import TimeEntrySpec
from airflow_provider_toggl.core.client.resources.time_entries_client import TimeEntriesClient
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.instants import format_instant

NOW = utc(START)
ENTRIES = "/api/v9/workspaces/7/time_entries"
CUT = errors.ConnectionTrouble("cut.")


def build(reply: Callable[[OutgoingRequest], TogglResponse]) -> tuple[TimeEntriesClient, FakeTransport]:
    session, transport, clock = fake_session(reply)
    return TimeEntriesClient(session, 7, clock=clock), transport


class Killed(BaseException):
    """The end of the process."""


class Toggl:
    """A Toggl whose next POSTs and lists end as ordered, and all others as usual.

    A POST that is ``late`` is carried out after the next list, one that is ``very late`` before the next POST.
    """

    def __init__(self, *posts: str, lists: Sequence[str] = ()) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self._posts, self._lists = list(posts), list(lists)
        self._late: list[Any] = []
        self._very_late: list[Any] = []
        self._numbers = count(11)

    def add(self, body: Any, number: int | None = None) -> dict[str, Any]:
        number = number or next(self._numbers)
        self.rows[number] = {"id": number, "stop": None, **body}
        return self.rows[number]

    def __call__(self, call: OutgoingRequest) -> TogglResponse:
        if call.method == "GET":
            return self._list(call)
        if call.method == "DELETE":
            self.rows.pop(int(call.path.rsplit("/", 1)[1]))
            return answer(200, b"", call=call, headers={"content-length": "0"})
        self._carry_out(self._very_late)
        order = self._posts.pop(0) if self._posts else "answered"
        if order in ("late", "very late"):
            (self._late if order == "late" else self._very_late).append(call.payload)
        made = self.add(call.payload) if order == "answered" or "after" in order else None
        if order.startswith("killed"):
            raise Killed
        refusals = {"refused": 400, "broken after": 502}
        if order in refusals:
            return answer(refusals[order], "no", call=call)
        if order == "answered":
            return answer(200, made, call=call)
        raise CUT

    def _list(self, call: OutgoingRequest) -> TogglResponse:
        order = self._lists.pop(0) if self._lists else "answered"
        seen = list(self.rows.values())
        self._carry_out(self._late)
        if order == "killed":
            raise Killed
        refused = {"denied": (403, "no"), "limited": (402, "hourly limit")}.get(order)
        return answer(*(refused or (200, seen)), call=call)

    def _carry_out(self, late: list[Any]) -> None:
        while late:
            self.add(late.pop(0))


class Noted:
    """What a try leaves for the next one."""

    doubt = False
    created_id: int | None = None

    def __call__(self, doubt: bool, created_id: int | None) -> None:
        self.doubt, self.created_id = doubt, created_id


def create(
    tracking: TimeEntriesClient, wanted: TimeEntrySpec, *, in_doubt: bool = False, noted: Noted | None = None
) -> tuple[int, bool]:
    noted = noted or Noted()
    done = tracking.create(
        wanted, in_doubt=in_doubt, sent_after=NOW - timedelta(hours=2), created_id=noted.created_id, record_doubt=noted
    )
    return done.value.entry_id, done.created


def asked(transport: FakeTransport) -> list[str]:
    return [f"{call.method} {call.path.removeprefix('/api/v9')}" for call in transport.calls]


ENDED = TimeEntrySpec(7, NOW - timedelta(hours=1), NOW, "design")
RUNNING = TimeEntrySpec(7, NOW, None, "design")


def test_creating_costs_one_request():
    tracking, transport = build(Toggl())
    assert create(tracking, ENDED) == (11, True)
    assert asked(transport) == ["POST /workspaces/7/time_entries"]
    assert transport.calls[0].payload == ENDED.payload()


def test_an_entry_that_differs_from_its_spec_fails_and_is_not_created_again():
    rows: dict[int, dict[str, Any]] = {}

    def toggl(call: OutgoingRequest) -> TogglResponse:
        if call.method == "POST":
            rows[11] = {"id": 11, **call.payload, "description": "another"}
            return answer(200, rows[11], call=call)
        number = call.path.rsplit("/", 1)[1]
        if number == "time_entries":
            return answer(200, list(rows.values()), call=call)
        return answer(200, rows[int(number)], call=call) if int(number) in rows else answer(404, "gone", call=call)

    noted = Noted()
    for _ in range(3):
        tracking, transport = build(toggl)
        with pytest.raises(errors.NotApplied, match=r"time entry 11: .* differs in description") as caught:
            create(tracking, ENDED, in_doubt=noted.doubt, noted=noted)
        assert caught.value.entity_id == 11
        assert (noted.doubt, noted.created_id) == (True, 11)
    assert asked(transport) == ["GET /me/time_entries", "GET /me/time_entries/11"]
    rows[11]["description"] = ENDED.description
    assert create(build(toggl)[0], ENDED, in_doubt=True, noted=noted) == (11, True)
    assert not noted.doubt


@pytest.mark.parametrize("body", [b"", "OK", b"<html>"])
def test_after_a_change_whose_response_has_no_entry_the_entry_is_requested(body: Any):
    row = {"id": 11, **RUNNING.payload()}
    tracking, transport = build(lambda call: answer(200, row if call.method == "GET" else body, call=call))
    with pytest.raises(errors.NotApplied, match="time entry 11, but it still runs"):
        tracking.stop(11)
    with pytest.raises(errors.NotApplied, match=r"Updating time entry 11: .* differs in description"):
        tracking.update(11, {"description": "new"})
    assert tracking.update(11, {"description": "design"}).entry_id == 11
    assert len(transport.calls) == 6


def test_an_entry_that_still_runs_after_a_409_fails():
    row = {"id": 11, **RUNNING.payload()}
    tracking, _ = build(
        lambda call: answer(*((200, row) if call.method == "GET" else (409, "already stopped")), call=call)
    )
    with pytest.raises(errors.NotApplied):
        tracking.stop(11)


def test_the_lookup_covers_the_second_of_the_start():
    tracking, transport = build(Toggl("cut after"))
    assert create(tracking, ENDED) == (11, False)
    assert asked(transport) == ["POST /workspaces/7/time_entries", "GET /me/time_entries"]
    first = NOW - timedelta(hours=1)
    assert transport.calls[1].params == {
        "start_date": format_instant(first - timedelta(seconds=1)),
        "end_date": format_instant(first + timedelta(seconds=1)),
    }


def test_a_list_that_is_null_has_no_entries():
    toggl = Toggl()
    tracking, _ = build(lambda call: answer(200, None, call=call) if call.method == "GET" else toggl(call))
    assert create(tracking, ENDED, in_doubt=True) == (11, True)


def test_an_old_entry_is_looked_up_among_the_changes_since_the_run_started():
    tracking, transport = build(Toggl("cut after"))
    old = TimeEntrySpec(7, NOW - timedelta(days=200), NOW - timedelta(days=199))
    assert create(tracking, old) == (11, False)
    assert transport.calls[1].params == {"since": int((NOW - timedelta(hours=2, minutes=2)).timestamp())}


def test_an_earlier_request_that_is_carried_out_late_leaves_one_entry():
    toggl = Toggl("very late")
    tracking, _ = build(toggl)
    assert create(tracking, ENDED) == (11, False)
    assert list(toggl.rows) == [11]


def test_a_deleted_duplicate_may_still_be_shown():
    toggl = Toggl("very late")

    def reply(call: OutgoingRequest) -> TogglResponse:
        if call.path.endswith("/12") and call.method == "GET":
            return answer(200, {"id": 12, "server_deleted_at": format_instant(NOW)}, call=call)
        return toggl(call)

    assert create(build(reply)[0], ENDED) == (11, False)


def test_a_duplicate_that_is_not_deleted_fails():
    entries = Toggl("very late")

    def reply(call: OutgoingRequest) -> TogglResponse:
        if call.method == "DELETE":
            return answer(200, "OK", call=call)
        number = call.path.rsplit("/", 1)[1]
        return answer(200, entries.rows[int(number)], call=call) if number.isdigit() else entries(call)

    tracking, transport = build(reply)
    with pytest.raises(errors.NotApplied, match="but it still exists") as caught:
        tracking.create(TimeEntrySpec(7, NOW, NOW), in_doubt=False, sent_after=NOW, record_doubt=Noted())
    assert caught.value.entity_id in entries.rows
    assert [call.method for call in transport.calls][-2:] == ["DELETE", "GET"]


def test_after_a_response_with_another_entry_the_right_one_is_requested():
    row = {"id": 5, "workspace_id": 7, "start": format_instant(NOW), "duration": 60, "stop": format_instant(NOW)}

    def reply(call: OutgoingRequest) -> TogglResponse:
        return answer(200, row if call.method == "GET" else {**row, "id": 6}, call=call)

    tracking, _ = build(reply)
    entry, stopped = tracking.stop(5)
    assert (entry.entry_id, stopped) == (5, True)


def test_a_created_entry_that_the_list_does_not_show_yet_is_not_created_again():
    toggl, noted = Toggl(), Noted()
    noted(True, toggl.add(ENDED.payload())["id"])

    def lagging(call: OutgoingRequest) -> TogglResponse:
        if call.method == "GET":
            number = call.path.rsplit("/", 1)[1]
            return answer(200, toggl.rows[int(number)] if number.isdigit() else [], call=call)
        return toggl(call)

    assert create(build(lagging)[0], ENDED, in_doubt=True, noted=noted) == (11, True)
    assert (noted.doubt, noted.created_id, list(toggl.rows)) == (False, None, [11])


@pytest.mark.parametrize("refused", ["the look", "the deletion"])
def test_a_quota_that_ends_during_the_lookup_leaves_one_entry_after_the_wait(refused: str):
    toggl, noted = Toggl("very late"), Noted()

    def without_quota(call: OutgoingRequest) -> TogglResponse:
        looks = sum(1 for one in transport.calls if one.method == "GET")
        if call.method == "DELETE" or (refused == "the look" and looks > 2):
            return answer(402, "hourly limit", call=call)
        return toggl(call)

    tracking, transport = build(without_quota)
    with pytest.raises(errors.QuotaExhausted):
        create(tracking, ENDED, noted=noted)
    assert (noted.doubt, noted.created_id, list(toggl.rows)) == (True, 12, [11, 12])
    tracking, _ = build(toggl)
    assert create(tracking, ENDED, in_doubt=True, noted=noted) == (11, False)
    assert list(toggl.rows) == [11]
    assert not noted.doubt


def test_a_stopped_duplicate_of_a_running_entry_is_logged_and_not_deleted(caplog: pytest.LogCaptureFixture):
    toggl = Toggl("very late")

    def stop_the_late_one(call: OutgoingRequest) -> TogglResponse:
        result = toggl(call)
        if call.method == "POST":
            toggl.rows[11] |= {"stop": format_instant(NOW), "duration": 0}
        return result

    tracking, _ = build(stop_the_late_one)
    assert create(tracking, RUNNING) == (12, True)
    assert list(toggl.rows) == [11, 12]
    assert "11 is the same but stopped" in caplog.text


def test_existing_duplicates_are_logged_and_the_oldest_is_used(caplog: pytest.LogCaptureFixture):
    toggl = Toggl()
    toggl.add(RUNNING.payload(), 21)
    toggl.add(RUNNING.payload(), 20)
    tracking, transport = build(toggl)
    assert create(tracking, RUNNING, in_doubt=True) == (20, False)
    assert asked(transport) == ["GET /me/time_entries"]
    assert "20, 21" in caplog.text


def test_a_response_that_is_not_a_list_leaves_the_outcome_unknown():
    tracking, transport = build(lambda call: answer(200, {"data": []}, call=call))
    with pytest.raises(errors.OutcomeUnknown):
        create(tracking, ENDED, in_doubt=True)
    assert asked(transport) == ["GET /me/time_entries"]


POSTS = ("answered", "cut after", "cut before", "late", "broken after", "refused", "killed after", "killed before")
LISTS = ("answered", "denied", "limited", "killed")


@given(st.lists(st.sampled_from(POSTS), max_size=12), st.lists(st.sampled_from(LISTS), max_size=12))
def test_the_entry_exists_once_whatever_happens_to_requests_lookups_and_tries(posts: list[str], lists: list[str]):
    toggl, noted = Toggl(*posts, lists=lists), Noted()
    for number in range(len(posts) + len(lists) + 1):
        tracking, _ = build(toggl)
        try:
            entry_id, _ = create(tracking, ENDED, in_doubt=number > 0, noted=noted)
        except (errors.ApiError, Killed):
            assert len(toggl.rows) <= (1 if noted.created_id is None else 2)
        else:
            assert list(toggl.rows) == [entry_id]
            return
    raise AssertionError("it never succeeded")


@pytest.mark.parametrize(("status", "body"), [(200, None), (404, "Resource can not be found")])
def test_both_responses_for_no_running_entry_are_understood(status: int, body: Any):
    tracking, _ = build(lambda call: answer(status, body, call=call))
    assert tracking.find_running() is None


def test_stopping_a_stopped_entry_changes_nothing():
    row = {"id": 5, "workspace_id": 7, "start": format_instant(NOW), "stop": format_instant(NOW), "duration": 0}

    def reply(call: OutgoingRequest) -> TogglResponse:
        stops = sum(1 for one in transport.calls if one.method == "PATCH")
        if call.method == "PATCH" and stops == 1:
            raise CUT
        if call.method == "PATCH":
            return answer(409, "Time entry already stopped", call=call)
        return answer(200, row, call=call)

    tracking, transport = build(reply)
    entry, stopped = tracking.stop(5)
    assert (entry.entry_id, stopped) == (5, False)
    assert asked(transport) == [
        "PATCH /workspaces/7/time_entries/5/stop",
        "PATCH /workspaces/7/time_entries/5/stop",
        "GET /me/time_entries/5",
    ]


def test_other_refusals_to_stop_are_raised():
    tracking, _ = build(lambda call: answer(400, "Invalid or missing time_entry_id", call=call))
    with pytest.raises(errors.PayloadRefused):
        tracking.stop(5)


def test_an_update_sends_what_changes():
    row = {"id": 5, "workspace_id": 7, "start": format_instant(NOW), "duration": -1}
    tracking, transport = build(lambda call: answer(200, row, call=call))
    tracking.update(5, {"description": "x"})
    assert asked(transport) == ["PUT /workspaces/7/time_entries/5"]
    assert transport.calls[0].payload == {"workspace_id": 7, "description": "x"}
