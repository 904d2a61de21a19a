from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.rates.levels import KINDS, PRECEDENCE, Kind, Level, Subject
from airflow_provider_toggl.core.rates.periods import RateBook, RatePeriod

MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ENTRY = Subject(1, user_id=2, project_id=3, task_id=4)
EVERY_LEVEL = PRECEDENCE["billable_rates"]


def rate(amount: int, level: Level = "project", **more: Any) -> RatePeriod:
    subject = ENTRY.at_level(level)
    assert subject
    given_: dict[str, Any] = {"id": amount, "kind": "billable_rates", "subject": subject, **more}
    return RatePeriod(level=level, amount=Decimal(amount), **given_)


def find(*periods: RatePeriod, at: datetime = MONDAY, entry: Subject = ENTRY, kind: Kind = "billable_rates") -> Any:
    found = RateBook(periods).find(kind, entry, at)
    return found and found.amount


def test_the_narrowest_level_with_a_rate_decides() -> None:
    periods = [rate(amount, level) for amount, level in enumerate(EVERY_LEVEL, 1)]
    while periods:
        assert find(*periods) == periods[0].amount
        del periods[0]


def test_the_project_member_decides_what_an_hour_costs_then_the_workspace_member() -> None:
    member = rate(30, "workspace_user", kind="labor_costs")
    assert find(member, rate(20, "project_user", kind="labor_costs"), kind="labor_costs") == 20
    assert find(member, rate(10, "project", kind="labor_costs"), kind="labor_costs") == 30
    assert find(member) is None


def test_a_rate_holds_from_its_start_to_before_its_end() -> None:
    week = rate(50, start=MONDAY, end=MONDAY + 7 * DAY)
    assert find(week, at=MONDAY) == find(week, at=MONDAY + 6 * DAY) == 50
    assert find(week, at=MONDAY - timedelta(microseconds=1)) is find(week, at=MONDAY + 7 * DAY) is None


def test_a_future_rate_does_not_hold_yet_and_a_wider_level_does() -> None:
    assert find(rate(90, "task", start=MONDAY + DAY), rate(50)) == 50
    assert find(rate(90, "task", start=MONDAY + DAY), rate(50), at=MONDAY + DAY) == 90


def test_of_overlapping_rates_the_one_that_starts_last_holds() -> None:
    assert find(rate(60, start=MONDAY - DAY), rate(50), rate(70, start=MONDAY - 2 * DAY)) == 60


def test_of_rates_with_the_same_start_the_one_that_was_set_last_holds() -> None:
    first, second = (rate(n, start=MONDAY, created_at=MONDAY + n * DAY) for n in (60, 70))
    assert find(second, first) == find(first, second) == 70
    assert find(rate(80, start=MONDAY), rate(81, start=MONDAY)) == 81


def test_a_deleted_rate_never_held() -> None:
    assert find(rate(60, start=MONDAY, is_deleted=True), rate(50)) == 50


def test_a_rate_that_the_token_may_not_see_is_unknown_and_no_wider_one_replaces_it() -> None:
    hidden = RatePeriod(1, "billable_rates", "task", Subject(1, task_id=4), None)
    found = RateBook([hidden, rate(50)]).find("billable_rates", ENTRY, MONDAY)
    assert found is hidden


def test_rates_of_others_do_not_count() -> None:
    others = [
        rate(10, "task", subject=Subject(1, task_id=5)),
        rate(20, "project_user", subject=Subject(1, project_id=3, user_id=9)),
        rate(30, "workspace", subject=Subject(2)),
    ]
    assert find(*others) is None


DAYS = st.none() | st.integers(-3, 3).map(lambda n: MONDAY + n * DAY)


@st.composite
def periods(draw: st.DrawFn) -> list[RatePeriod]:
    found = []
    for number in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(KINDS))
        level = draw(st.sampled_from(EVERY_LEVEL))
        subject = Subject(1, draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))).at_level(level)
        assert subject
        amount = draw(st.none() | st.decimals(1, 500, places=2))
        dates = [draw(DAYS) for _ in range(3)]
        found.append(RatePeriod(number, kind, level, subject, amount, *dates, is_deleted=draw(st.booleans())))
    return found


COMMON = {
    "task": ("task_id",),
    "project_user": ("project_id", "user_id"),
    "project": ("project_id",),
    "workspace_user": ("user_id",),
    "workspace": ("workspace_id",),
}
NEVER = datetime.min.replace(tzinfo=timezone.utc)


def plain(kind: str, entry: Subject, at: datetime, rates: list[RatePeriod]) -> int | None:
    """Return the id of the rate that a search without an index finds, from the widest level to the narrowest."""
    found = None
    for level in ("workspace", "workspace_user", "project", "project_user", "task"):
        if kind == "labor_costs" and not level.endswith("_user"):
            continue
        candidates = [one for one in rates if (one.kind, one.level, one.is_deleted) == (kind, level, False)]
        candidates = [
            one for one in candidates if all(getattr(one.subject, n) == getattr(entry, n) for n in COMMON[level])
        ]
        candidates = [one for one in candidates if (one.start or NEVER) <= at and (one.end is None or at < one.end)]
        if candidates:
            found = max(candidates, key=lambda one: (one.start or NEVER, one.created_at or NEVER, one.id)).id
    return found


@given(periods(), st.sampled_from(KINDS), st.integers(1, 2), st.none() | st.integers(1, 2), st.integers(-4, 4))
def test_any_histories_give_what_a_plain_search_gives(
    rates: list[RatePeriod], kind: Kind, user: int, project: int | None, day: int
) -> None:
    entry = Subject(1, user, project, None if project is None else 1)
    at = MONDAY + day * DAY
    found = RateBook(rates).find(kind, entry, at)
    assert (found and found.id) == plain(kind, entry, at, rates)


@given(periods(), st.randoms(use_true_random=False))
def test_the_order_in_which_rates_are_listed_does_not_matter(rates: list[RatePeriod], random: Any) -> None:
    shuffled = list(rates)
    random.shuffle(shuffled)
    for kind in KINDS:
        assert RateBook(rates).find(kind, ENTRY, MONDAY) == RateBook(shuffled).find(kind, ENTRY, MONDAY)
