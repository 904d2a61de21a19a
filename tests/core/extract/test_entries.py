from __future__ import annotations

import itertools
import json
import random
from datetime import datetime, timedelta

import pytest
from support.fakes import START, FakeReport, answer, fake_session

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import MalformedAnswer, PayloadRefused, QuotaExhausted
from airflow_provider_toggl.core.extract.cursor import EntriesCursor, load
from airflow_provider_toggl.core.extract.entries import EntriesOptions, EntriesReader
from airflow_provider_toggl.core.extract.windows import Window

TODAY = utc(START).date()
LAG = timedelta(minutes=5)


class Toggl:
    """A report, a session on it, and what a warehouse would have kept: rows and the cursor beside them."""

    def __init__(self, page_size: int = 10) -> None:
        self.report = FakeReport(START, page_size)
        self.session, self.transport, self.clock = fake_session(self.report, rate=1000.0)
        self.rows: dict[int, str] = {}
        self.cursor: str | None = None

    def add_history(self, count: int, days: int = 300) -> None:
        for number in range(count):
            day = TODAY - timedelta(days=1 + number * days // count)
            self.report.add(number, day=day, at=START - 86_400 * (1 + number * days // count))

    def reader(self, watermark: datetime | None = None, **options) -> EntriesReader:
        options.setdefault("run_started", utc(self.clock.time))
        wanted = EntriesOptions(workspace_id=7, lag=LAG, **options)
        return EntriesReader(self.session, wanted, load(self.cursor, EntriesCursor), self.clock, watermark=watermark)

    def run(self, most: int = 10_000, **options) -> int:
        """Read up to so many pages, as a run that dies then; return the requests."""
        before = len(self.transport.calls)
        self.clock.time += 1
        pages = self.reader(**options).pages()
        for _, page in zip(range(most), pages, strict=False):
            for row in json.loads(page.body):
                self.rows[row["time_entries"][0]["id"]] = row["time_entries"][0]["at"]
            self.cursor = page.cursor
        return len(self.transport.calls) - before

    @property
    def truth(self) -> dict[int, str]:
        return {number: entry["at"] for number, entry in self.report.entries.items()}

    def pass_time(self, hours: float) -> None:
        self.clock.time += hours * 3600
        self.report.now += hours * 3600


def test_a_first_load_reads_everything_and_finds_the_beginning():
    toggl = Toggl()
    toggl.add_history(95)
    assert toggl.run() == 10 + 1 + 1
    assert toggl.rows == toggl.truth
    assert load(toggl.cursor, EntriesCursor).beginning == TODAY - timedelta(days=730)


def test_a_workspace_without_entries_is_done_in_two_requests():
    toggl = Toggl()
    assert toggl.run() == 2
    assert load(toggl.cursor, EntriesCursor).beginning is not None


def test_with_since_nothing_before_it_is_asked_for():
    toggl = Toggl()
    toggl.add_history(50)
    toggl.run(beginning=TODAY - timedelta(days=100))
    assert min(query["start_date"] for query in toggl.report.queries) == str(TODAY - timedelta(days=100))


def test_an_earlier_since_reads_only_what_lies_between():
    toggl = Toggl()
    toggl.add_history(60)
    toggl.run(beginning=TODAY - timedelta(days=100))
    toggl.pass_time(1)
    toggl.run(beginning=TODAY - timedelta(days=320))
    assert toggl.rows == toggl.truth
    whole = [query for query in toggl.report.queries if query["order_by"] == "date"]
    assert whole[-1]["end_date"] == str(TODAY - timedelta(days=101))


def test_an_edit_of_an_old_entry_is_found_by_the_next_run():
    toggl = Toggl()
    toggl.add_history(95)
    toggl.run()
    toggl.pass_time(2)
    toggl.report.add(94, day=TODAY - timedelta(days=299), at=toggl.report.now - 10, seconds=7)
    requests = toggl.run()
    assert toggl.rows == toggl.truth
    assert requests <= 3


def test_an_edit_of_three_years_ago_is_found_at_three_requests():
    toggl = Toggl()
    old = TODAY - timedelta(days=1095)
    toggl.report.add(1, day=old, at=START - 90_000_000)
    toggl.run(beginning=old)
    toggl.pass_time(1)
    toggl.report.add(1, day=old, at=toggl.report.now - 60, seconds=9)
    assert toggl.run(beginning=old) == 3
    assert toggl.rows == toggl.truth


def test_a_change_that_reports_show_late_is_not_skipped():
    toggl = Toggl()
    toggl.add_history(30)
    toggl.run()
    toggl.pass_time(1)
    toggl.run()
    # It happened four minutes before that run, and shows only now.
    toggl.report.add(5, day=TODAY - timedelta(days=50), at=toggl.report.now - 240, seconds=5)
    toggl.pass_time(1)
    toggl.run()
    assert toggl.rows == toggl.truth


def test_a_run_that_died_goes_on_at_the_next_page():
    toggl = Toggl()
    toggl.add_history(95)
    started = utc(toggl.clock.time)
    for most in (1, 2, 3, 1):
        toggl.run(most, run_started=started)
    toggl.run(run_started=started)
    asked = [(query["start_date"], query["first_row_number"]) for query in toggl.report.queries]
    assert len(asked) == len(set(asked))
    assert toggl.rows == toggl.truth


def test_a_retry_of_a_finished_run_sends_no_request():
    toggl = Toggl()
    toggl.add_history(20)
    started = utc(toggl.clock.time)
    toggl.run(run_started=started)
    assert toggl.run(run_started=started) == 0


def test_a_used_up_quota_stops_at_a_page_and_the_next_part_goes_on():
    toggl = Toggl()
    toggl.add_history(95)
    started = utc(toggl.clock.time)
    toggl.report.quota = 4
    with pytest.raises(QuotaExhausted):
        toggl.run(run_started=started)
    toggl.pass_time(1)
    toggl.report.quota = 100
    toggl.run(run_started=started)
    assert toggl.rows == toggl.truth
    assert len(toggl.report.queries) == 12


def test_the_watermark_is_when_reading_began_less_the_lag():
    toggl = Toggl()
    toggl.add_history(25)
    last = list(toggl.reader().pages())[-1]
    assert last.watermark == utc(START) - LAG


def test_there_is_no_watermark_before_a_window_is_read_to_its_end():
    toggl = Toggl()
    toggl.add_history(25)
    assert next(toggl.reader().pages()).watermark is None


@pytest.mark.parametrize("windows_per_run", [1, 2, 3])
@pytest.mark.parametrize("years", [1, 2, 3, 4, 10])
def test_hourly_runs_keep_the_watermark_fresh_however_long_the_history_is(years: int, windows_per_run: int):
    toggl = Toggl()
    beginning = TODAY - timedelta(days=366 * years - 2)
    options = {"beginning": beginning, "windows_per_run": windows_per_run}
    toggl.run(**options)
    requests, last = [], None
    # Over two midnights, when a planned day becomes one of the newest window, and past each daily look at planned days.
    for _ in range(50):
        toggl.pass_time(1)
        toggl.clock.time += 1
        before = len(toggl.transport.calls)
        for page in toggl.reader(**options, watermark=last).pages():
            toggl.cursor = page.cursor
            assert page.watermark is not None
            assert last is None or page.watermark >= last
            last = page.watermark
        requests.append(len(toggl.transport.calls) - before)
        assert last is not None
        assert utc(toggl.clock.time) - last <= LAG + timedelta(minutes=1)
    # Windows read again in a run; beyond that the planned days once a day, and so the others where none has a turn.
    daily = 1 if windows_per_run > 1 else years + 2
    assert sum(requests) <= 50 * min(windows_per_run, years + 2) + 3 * daily


def test_a_deletion_between_two_pages_skips_no_row():
    toggl = Toggl()
    toggl.add_history(40)
    victim = 39
    toggl.report.before_answer = [lambda: None, lambda: toggl.report.entries.pop(victim)]
    toggl.run()
    toggl.rows.pop(victim)
    assert toggl.rows == toggl.truth


@pytest.mark.parametrize("seed", range(30))
def test_changes_while_pages_are_read_are_loaded_by_the_next_run_at_the_latest(seed):
    toggl, chance = Toggl(), random.Random(seed)
    toggl.add_history(60)

    def disturb() -> None:
        toggl.report.now += 20
        for _ in range(chance.randint(0, 3)):
            number = chance.choice([*toggl.report.entries, 1000 + chance.randint(0, 99)])
            day = TODAY - timedelta(days=chance.randint(1, 300))
            toggl.report.add(
                number, day=day, at=toggl.report.now - chance.randint(0, 10), seconds=chance.randint(1, 99)
            )
        if chance.random() < 0.5:
            toggl.report.entries.pop(chance.choice([*toggl.report.entries]))

    toggl.report.before_answer = [disturb for _ in range(12)]
    toggl.run()
    toggl.report.before_answer = []
    toggl.pass_time(1)
    toggl.run()
    assert {number: at for number, at in toggl.rows.items() if number in toggl.truth} == toggl.truth


def test_an_order_that_is_not_kept_is_noticed_and_all_is_read():
    toggl = Toggl()
    toggl.add_history(40)
    toggl.run()
    toggl.pass_time(1)
    toggl.report.keeps_order = False
    toggl.report.add(35, day=TODAY - timedelta(days=200), at=toggl.report.now - 400, seconds=3)
    toggl.report.add(0, day=TODAY - timedelta(days=2), at=START - 864_000)
    toggl.run()
    assert toggl.rows == toggl.truth


@pytest.mark.parametrize(
    ("text", "size"),
    [("page_size is invalid", None), ("Invalid 'page_size' value, allowed values are: '1 to 200'", 200)],
)
def test_a_refused_page_size_becomes_the_named_one_or_is_left_to_toggl(text, size):
    toggl = Toggl()
    toggl.add_history(20)
    toggl.report.refusals = [answer(400, text)]
    toggl.run()
    assert toggl.rows == toggl.truth
    assert {query.get("page_size") for query in toggl.report.queries[1:]} == {size}


def test_a_range_that_is_refused_is_shortened_for_good():
    toggl = Toggl()
    toggl.add_history(20)
    toggl.report.refusals = [answer(400, "Maximum allowed date range is 365 days")]
    toggl.run()
    assert toggl.rows == toggl.truth
    assert load(toggl.cursor, EntriesCursor).span_days == 365
    assert toggl.report.queries[1]["start_date"] == str(TODAY - timedelta(days=363))


def test_any_other_refusal_is_raised():
    toggl = Toggl()
    toggl.report.refusals = [answer(400, "Invalid workspace id")]
    with pytest.raises(PayloadRefused, match="Invalid workspace id"):
        toggl.run()


def test_a_malformed_page_is_requested_again():
    toggl = Toggl()
    toggl.add_history(5)
    toggl.report.refusals = [answer(200, b"<html>")]
    toggl.run()
    assert toggl.rows == toggl.truth


def test_a_page_that_stays_malformed_is_raised_and_progress_stays():
    toggl = Toggl()
    toggl.add_history(95)
    toggl.run(3)
    kept = toggl.cursor
    toggl.report.refusals = [answer(200, b"<html>"), answer(200, b"<html>")]
    with pytest.raises(MalformedAnswer):
        toggl.run()
    assert toggl.cursor == kept
    toggl.run()
    assert toggl.rows == toggl.truth


def test_rows_that_are_announced_twice_and_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch):
    toggl = Toggl()
    toggl.add_history(20)
    respond = FakeReport.__call__

    def announce_more(report: FakeReport, call: OutgoingRequest) -> TogglResponse:
        found = respond(report, call)
        rows = found.json()
        if not rows or found.header_int("x-next-row-number"):
            return found
        return answer(200, rows, headers={"x-next-row-number": str(rows[-1]["row_number"] + 1), "x-next-id": "99"})

    monkeypatch.setattr(FakeReport, "__call__", announce_more)
    with pytest.raises(MalformedAnswer, match="and then gives none"):
        toggl.run()


def test_a_fixed_range_is_read_whole_whatever_is_known():
    toggl = Toggl()
    toggl.add_history(60)
    only = Window(TODAY - timedelta(days=50), TODAY - timedelta(days=10))
    for _ in range(2):
        toggl.pass_time(1)
        toggl.run(only=only)
    days = {entry["start"][:10] for number, entry in toggl.report.entries.items() if number in toggl.rows}
    assert days
    assert all(str(only.first) <= found <= str(only.last) for found in days)
    assert all(query["order_by"] == "date" for query in toggl.report.queries)


def test_planned_entries_are_loaded_before_there_is_a_watermark():
    toggl = Toggl()
    toggl.add_history(25)
    toggl.report.add(99, day=TODAY + timedelta(days=40), at=START - 100)
    pages = list(toggl.reader().pages())
    before = list(itertools.takewhile(lambda page: b'"id": 99' not in page.body, pages))
    assert {page.watermark for page in before} == {None}
    assert pages[-1].watermark is not None


def test_a_planned_entry_that_was_changed_is_found_when_its_day_comes():
    toggl = Toggl()
    toggl.report.add(1, day=TODAY + timedelta(days=3), at=START - 100)
    toggl.run()
    for _ in range(5):
        toggl.pass_time(24)
        toggl.run()
    toggl.report.add(1, day=TODAY + timedelta(days=3), at=toggl.report.now - 50, seconds=3)
    toggl.pass_time(1)
    toggl.run()
    assert toggl.rows == toggl.truth


def test_progress_says_how_much_of_a_window_is_read():
    toggl = Toggl()
    toggl.add_history(60)
    shares = [page.share for page in toggl.reader(beginning=TODAY - timedelta(days=300)).pages()]
    assert shares[:6] == sorted(shares[:6])
