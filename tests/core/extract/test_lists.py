from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from support.fakes import START, answer, fake_session

from airflow_provider_toggl.core.client.transport import OutgoingRequest
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused
from airflow_provider_toggl.core.extract.cursor import ListCursor, load
from airflow_provider_toggl.core.extract.lists import MAX_ROUNDS, ListOptions, ListReader
from airflow_provider_toggl.core.streams import get_stream


class Lists:
    """A workspace's lists, page by page."""

    def __init__(self, rows: int, *, most: int = 200, names_size: bool = True, envelope: bool = False) -> None:
        self.rows = [{"id": number} for number in range(rows)]
        self.most = most
        self.names_size = names_size
        self.envelope = envelope
        self.missing = 0
        self.calls: list[OutgoingRequest] = []
        self.refusals: list[Any] = []
        self.session, _, self.clock = fake_session(self.reply, rate=1000.0)

    def reply(self, call: OutgoingRequest):
        self.calls.append(call)
        if self.refusals:
            return self.refusals.pop(0)
        if call.path == "/api/v9/workspaces/7":
            return answer(200, {"organization_id": 3}, call=call)
        size = min(self.most, int(call.params.get("per_page", 10_000)))
        first = (int(call.params.get("page", 1)) - 1) * size
        page: Any = [] if "since" in call.params else self.rows[first : first + size]
        if self.envelope:
            page = {"data": page, "total_count": len(self.rows) + self.missing}
        return answer(200, page, headers={"x-page-size": str(size)} if self.names_size else {}, call=call)

    def reader(self, stream: str, *, cursor: str | None = None, watermark=None, **options) -> ListReader:
        options.setdefault("run_started", utc(START))
        return ListReader(
            self.session,
            get_stream(stream),
            ListOptions(7, **options),
            load(cursor, ListCursor),
            watermark=watermark,
            clock=self.clock,
        )

    def read(self, stream: str, **more):
        self.clock.time += 1
        return list(self.reader(stream, **more).pages())


def test_a_short_list_costs_one_request():
    toggl = Lists(30)
    pages = toggl.read("projects")
    assert [page.rows for page in pages] == [30]
    assert len(toggl.calls) == 1
    assert toggl.calls[0].params == {"active": "both", "page": 1, "per_page": 200}


@pytest.mark.parametrize("names_size", [True, False])
@pytest.mark.parametrize("most", [200, 50])
def test_every_row_of_a_long_list_comes(most, names_size):
    toggl = Lists(430, most=most, names_size=names_size)
    assert sum(page.rows for page in toggl.read("tags")) == 430


def test_an_envelope_with_the_total_saves_the_last_request():
    toggl = Lists(100, most=50, envelope=True)
    toggl.read("tasks")
    assert [(call.params["page"], "since" in call.params) for call in toggl.calls] == [
        (1, False),
        (2, False),
        (1, True),
    ]


def test_a_list_that_never_has_as_many_rows_as_its_total_is_read_some_times_and_is_then_an_error():
    toggl = Lists(100, most=50, envelope=True)
    toggl.missing = 1
    pages = toggl.reader("tasks").pages()
    with pytest.raises(MalformedAnswer, match="has 100 rows, and Toggl says that it has 101"):
        list(itertools.islice(pages, 50))
    assert len(toggl.calls) == 3 * (1 + MAX_ROUNDS)


def test_a_list_without_pages_is_asked_without_numbers():
    toggl = Lists(450)
    pages = toggl.read("clients")
    assert len(pages) == 1
    assert toggl.calls[0].params == {"status": "both"}


def test_the_last_page_of_a_whole_list_says_that_it_is_complete():
    pages = Lists(430).read("tags")
    assert [page.complete_at is not None for page in pages] == [False, False, True]


def test_changes_since_are_asked_for_once_the_list_is_known():
    toggl = Lists(3)
    page = toggl.read("projects", watermark=utc(START - 3600))[0]
    assert toggl.calls[0].params["since"] == START - 3600
    assert page.complete_at is None


def test_the_watermark_stays_a_little_behind():
    page = Lists(3).read("projects")[0]
    assert page.watermark == utc(START) - timedelta(seconds=60)


def test_a_watermark_that_since_cannot_reach_reads_the_whole_list():
    toggl = Lists(3)
    page = toggl.read("projects", watermark=utc(START) - timedelta(days=100))[0]
    assert "since" not in toggl.calls[0].params
    assert page.complete_at is not None


def test_a_since_that_toggl_refuses_reads_the_whole_list():
    toggl = Lists(3)
    toggl.refusals = [answer(400, "Since cannot be older than 3 months")]
    page = toggl.read("tasks", watermark=utc(START - 3600))[0]
    assert page.rows == 3
    assert page.complete_at is not None


def test_any_other_refusal_is_raised():
    toggl = Lists(3)
    toggl.refusals = [answer(400, "Client status is invalid")]
    with pytest.raises(PayloadRefused):
        toggl.read("clients")


def test_a_read_that_died_goes_on_at_the_next_page():
    toggl = Lists(430)
    pages = toggl.reader("tags").pages()
    first = next(pages)
    rest = toggl.read("tags", cursor=first.cursor)
    assert first.rows + sum(page.rows for page in rest) == 430
    assert [call.params["page"] for call in toggl.calls] == [1, 2, 3]
    assert rest[-1].complete_at == first.observed_at


def test_a_retry_of_a_finished_read_sends_no_request():
    toggl = Lists(5)
    done = toggl.read("tags")[-1]
    assert toggl.read("tags", cursor=done.cursor) == []


def test_the_next_run_reads_again():
    toggl = Lists(5)
    done = toggl.read("tags")[-1]
    assert toggl.read("tags", cursor=done.cursor, run_started=utc(START + 3600)) != []


def test_groups_need_the_organization_which_is_asked_for_once():
    toggl = Lists(2)
    pages = toggl.read("groups")
    assert pages[0].requests == 2
    toggl.read("groups", run_started=utc(START + 60))
    assert [call.path for call in toggl.calls] == [
        "/api/v9/workspaces/7",
        "/api/v9/organizations/3/workspaces/7/groups",
        "/api/v9/organizations/3/workspaces/7/groups",
    ]


def test_an_empty_list_is_complete():
    page = Lists(0).read("clients")[0]
    assert (page.rows, page.complete_at is not None) == (0, True)


def test_a_page_that_is_no_list_is_requested_again_and_then_an_error():
    toggl = Lists(3)
    toggl.refusals = [answer(200, b"<html>"), answer(200, b"<html>")]
    with pytest.raises(MalformedAnswer):
        toggl.read("users")
    assert len(toggl.calls) == 2
