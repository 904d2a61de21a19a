from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.extract.windows import DAY
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.compare import EntryRows, build_rows, micros
from airflow_provider_toggl.core.reconcile.deletion_policy import (
    DeletionRules,
    Visibility,
    build_court,
    judge,
    read_sight,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
FREE = Visibility(user_id=7, is_admin=True, is_paid=False, retention_days=None)
PAID = Visibility(user_id=7, is_admin=True, is_paid=True, retention_days=None)


def rows(*entries: dict[str, Any]) -> EntryRows:
    """Return rows that started ten days ago and were changed and seen two days ago, unless they say otherwise."""
    usual = {"user": 7, "start": NOON - 10 * DAY, "updated": NOON - 2 * DAY, "seen": NOON - 2 * DAY, "running": False}
    full = [{**usual, **entry} for entry in entries]
    times = {"starts": "start", "updated": "updated", "seen": "seen"}
    return build_rows(
        {
            "ids": np.array([entry["id"] for entry in full], np.int64),
            "users": np.array([entry["user"] for entry in full], np.int64),
            "projects": np.zeros(len(full), np.int64),
            "seconds": np.zeros(len(full), np.int64),
            "running": np.array([entry["running"] for entry in full], np.bool_),
            **{name: np.array([micros(e[one]) for e in full], np.int64) for name, one in times.items()},
        }
    )


def told(**more: Any) -> deletion_policy.ProbeAnswer:
    usual: dict[str, Any] = {
        "date": NOON,
        "spoken_for": NOON - timedelta(minutes=5),
        "is_sound": True,
        "first_start": NOON - 20 * DAY,
        "newest_at": NOON - DAY,
        "shows_running": True,
    }
    return deletion_policy.ProbeAnswer(**{**usual, **more})


def reasons(
    entry: dict[str, Any], heard: deletion_policy.ProbeAnswer, sight: Visibility = FREE, **rules: Any
) -> list[str]:
    return list(judge(rows({"id": 1, **entry}), heard, sight, DeletionRules(**rules)))


def test_what_a_sound_answer_lacks_is_believed_to_be_gone():
    assert reasons({}, told()) == []


@pytest.mark.parametrize(
    ("entry", "heard", "reason"),
    [
        ({}, {"is_sound": False}, deletion_policy.CONTROLS_MISSING),
        ({"seen": NOON - timedelta(minutes=4)}, {}, deletion_policy.SEEN_LATER),
        ({"updated": NOON - 2 * HOUR}, {"newest_at": NOON - 3 * HOUR}, deletion_policy.TOO_NEW),
        ({"updated": NOON - 2 * HOUR}, {"newest_at": None}, deletion_policy.TOO_NEW),
        ({"running": True}, {"shows_running": False}, deletion_policy.RUNNING),
        ({}, {"first_start": NOON - 9 * DAY}, deletion_policy.BEFORE_FIRST_SHOWN),
        ({}, {"first_start": None}, deletion_policy.BEFORE_FIRST_SHOWN),
    ],
)
def test_each_doubt_keeps_the_entry(entry: dict[str, Any], heard: dict[str, Any], reason: str):
    assert reasons(entry, told(**heard)) == [reason]


def test_on_a_paid_plan_or_by_a_person_s_word_nothing_is_beyond_the_horizon():
    heard = told(first_start=None)
    assert reasons({}, heard, PAID) == []
    assert reasons({}, heard, allow_mass=True) == []


def test_what_did_not_change_for_a_day_has_settled():
    assert reasons({"updated": NOON - DAY}, told(newest_at=None)) == []
    assert reasons({"updated": NOON - 2 * HOUR}, told(newest_at=None), settle=HOUR) == []


def test_no_word_of_a_person_makes_an_unsound_answer_sound():
    assert reasons({}, told(is_sound=False), PAID, allow_mass=True) == [deletion_policy.CONTROLS_MISSING]


TIMES = st.integers(-1000, 1000).map(lambda hours: NOON + hours * HOUR)


@given(
    entries=st.lists(
        st.fixed_dictionaries({"start": TIMES, "updated": TIMES, "seen": TIMES, "running": st.booleans()})
    ),
    heard=st.fixed_dictionaries(
        {"is_sound": st.booleans(), "first_start": st.none() | TIMES, "newest_at": st.none() | TIMES}
    ),
)
def test_every_entry_has_at_most_one_reason_and_what_has_none_passes_every_rule(
    entries: list[dict[str, Any]], heard: dict[str, Any]
):
    missing = rows(*({"id": number, **entry} for number, entry in enumerate(entries, 1)))
    said = told(**heard)
    masks = judge(missing, said, FREE, DeletionRules())
    held = np.zeros(len(missing), np.int64)
    for mask in masks.values():
        held += mask
    assert (held <= 1).all()
    for number in np.flatnonzero(held == 0):
        entry = entries[number]
        assert said.is_sound
        assert entry["seen"] <= said.spoken_for
        assert said.first_start is not None
        assert entry["start"] >= said.first_start
        assert entry["updated"] <= max(said.newest_at or NOON - 10_000 * DAY, NOON - DAY)


@pytest.mark.parametrize(
    ("missing", "live", "refused"), [(20, 20, False), (21, 105, False), (21, 104, True), (21, 21, True), (0, 0, False)]
)
def test_an_unusual_share_needs_a_person(missing: int, live: int, refused: bool):
    assert DeletionRules().refuses(missing, live) is refused
    assert DeletionRules(allow_mass=True).refuses(missing, live) is False


@pytest.mark.parametrize(
    ("workspace", "me", "sight"),
    [
        ({"admin": True, "premium": True}, {"id": 7}, Visibility(7, True, True, None)),
        ({"role": "admin", "business_ws": True}, {"id": 7}, Visibility(7, True, True, None)),
        ({"role": "user", "admin": False}, {"id": 7}, Visibility(7, False, False, None)),
        ({"admin": True, "max_data_retention_days": 90}, {"id": 7}, Visibility(7, True, False, 90)),
        ({"admin": True, "max_data_retention_days": 0}, {}, Visibility(None, True, False, None)),
        ([], None, Visibility(None, False, False, None)),
    ],
)
def test_what_is_not_told_is_taken_as_less_sight(workspace: Any, me: Any, sight: Visibility):
    assert read_sight(workspace, me) == sight


def test_beyond_the_token_s_sight_are_others_and_what_the_plan_hides():
    candidates = rows({"id": 1}, {"id": 2, "user": 8}, {"id": 3, "start": NOON - 100 * DAY})
    member = Visibility(7, False, False, 90)
    masks = deletion_policy.beyond_sight(candidates, member, NOON)
    assert deletion_policy.by_reason(masks, candidates) == {
        deletion_policy.NOT_ADMIN: [2],
        deletion_policy.RETENTION: [3],
    }
    assert deletion_policy.by_reason(deletion_policy.beyond_sight(candidates, FREE, NOON), candidates) == {}


def test_a_user_of_whom_much_is_missing_and_nothing_is_left_is_suspicious():
    candidates = rows(*({"id": number, "user": 8} for number in range(1, 30)), {"id": 99, "user": 9})
    left = rows({"id": 100})
    assert deletion_policy.whole_users(candidates, left, DeletionRules()).sum() == 29
    assert deletion_policy.whole_users(candidates, rows({"id": 100, "user": 8}), DeletionRules()).sum() == 0
    assert deletion_policy.whole_users(candidates, left, DeletionRules(allow_mass=True)).sum() == 0


@given(
    missing=st.lists(st.integers(0, 800), min_size=1, max_size=40, unique=True),
    present=st.lists(st.integers(0, 800), max_size=40, unique=True),
    page=st.integers(4, 30),
)
def test_every_candidate_is_heard_once_within_a_page_and_a_range_that_holds_it(
    missing: list[int], present: list[int], page: int
):
    candidates = rows(*({"id": 1 + day, "start": NOON - day * DAY, "user": day % 5} for day in missing))
    shown = rows(*({"id": 10_001 + day, "start": NOON - day * DAY, "user": day % 5} for day in present))
    court = build_court(shown, shown, timezone.utc, page, 366)
    hearings = list(court.hear_by_ids(candidates))
    heard = [id_ for hearing in hearings for id_ in hearing.candidates.ids.tolist()]
    assert sorted(heard) == candidates.ids.tolist()
    for hearing in hearings:
        assert len(hearing.ids) <= page
        assert hearing.window.days <= 366
        for id_ in hearing.ids:
            day = (NOON - (id_ - (10_001 if id_ > 10_000 else 1)) * DAY).date()
            assert hearing.window.first <= day <= hearing.window.last
        for day in hearing.candidates.ids - 1:
            # A day beside it, so that no zone can put it outside.
            assert hearing.window.first < (NOON - int(day) * DAY).date() < hearing.window.last


def test_witnesses_stand_before_and_after_and_are_of_the_same_user():
    candidates = rows({"id": 1, "user": 8})
    present = rows(
        {"id": 2, "start": NOON - 30 * DAY},
        {"id": 3, "start": NOON - 11 * DAY},
        {"id": 4, "start": NOON - 9 * DAY, "updated": NOON},
        {"id": 5, "start": NOON - 8 * DAY, "user": 8},
    )
    (hearing,) = build_court(present, present, timezone.utc, 100, 366).hear_by_ids(candidates)
    assert {3, 4} <= set(hearing.witnesses)
    wide = rows({"id": 1, "user": 8}, {"id": 6, "user": 7, "start": NOON - 7 * DAY})
    (hearing,) = build_court(present, present, timezone.utc, 100, 366).hear_by_ids(wide)
    assert {3, 4, 5} <= set(hearing.witnesses)
    assert not hearing.is_satisfied(np.array([3, 4]))
    assert hearing.is_satisfied(np.array(hearing.witnesses))


def test_an_answer_that_shows_nobody_at_all_is_no_proof():
    (hearing,) = build_court(rows(), rows(), timezone.utc, 100, 366).hear_by_ids(rows({"id": 1}))
    assert not hearing.is_satisfied(np.array([], np.int64))
