from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entry_rows import NOON, entry_rows

from airflow_provider_toggl.core.extract.windows import DAY
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules, Visibility, find_reasons_to_keep

HOUR = timedelta(hours=1)
FREE = Visibility(user_id=7, is_admin=True, is_paid=False, retention_days=None)
PAID = Visibility(user_id=7, is_admin=True, is_paid=True, retention_days=None)


def answer(**more: Any) -> deletion_policy.ProbeAnswer:
    usual: dict[str, Any] = {
        "date": NOON,
        "described_at": NOON - timedelta(minutes=5),
        "is_sound": True,
        "first_start": NOON - 20 * DAY,
        "newest_change": NOON - DAY,
        "shows_running": True,
    }
    return deletion_policy.ProbeAnswer(**{**usual, **more})


def reasons(
    entry: dict[str, Any], answered: deletion_policy.ProbeAnswer, seen: Visibility = FREE, **rules: Any
) -> list[str]:
    return list(find_reasons_to_keep(entry_rows({"id": 1, **entry}), answered, seen, DeletionRules(**rules)))


def test_an_entry_that_a_sound_answer_lacks_is_deleted():
    assert reasons({}, answer()) == []


@pytest.mark.parametrize(
    ("entry", "answered", "reason"),
    [
        ({}, {"is_sound": False}, deletion_policy.CONTROLS_MISSING),
        ({"seen": NOON - timedelta(minutes=4)}, {}, deletion_policy.SEEN_LATER),
        ({"updated": NOON - 2 * HOUR}, {"newest_change": NOON - 3 * HOUR}, deletion_policy.TOO_NEW),
        ({"updated": NOON - 2 * HOUR}, {"newest_change": None}, deletion_policy.TOO_NEW),
        ({"running": True}, {"shows_running": False}, deletion_policy.RUNNING),
        ({}, {"first_start": NOON - 9 * DAY}, deletion_policy.BEFORE_FIRST_SHOWN),
        ({}, {"first_start": None}, deletion_policy.BEFORE_FIRST_SHOWN),
    ],
)
def test_each_reason_keeps_the_entry(entry: dict[str, Any], answered: dict[str, Any], reason: str):
    assert reasons(entry, answer(**answered)) == [reason]


def test_a_paid_plan_or_an_approval_vouches_for_days_before_the_first_shown_entry():
    answered = answer(first_start=None)
    assert reasons({}, answered, PAID) == []
    assert reasons({}, answered, allow_mass=True) == []


def test_an_entry_that_did_not_change_for_a_day_is_in_every_report():
    assert reasons({"updated": NOON - DAY}, answer(newest_change=None)) == []
    assert reasons({"updated": NOON - 2 * HOUR}, answer(newest_change=None), settle=HOUR) == []


def test_an_approval_does_not_make_an_unsound_answer_sound():
    assert reasons({}, answer(is_sound=False), PAID, allow_mass=True) == [deletion_policy.CONTROLS_MISSING]


TIMES = st.integers(-1000, 1000).map(lambda hours: NOON + hours * HOUR)


@given(
    entries=st.lists(
        st.fixed_dictionaries({"starts": TIMES, "updated": TIMES, "seen": TIMES, "running": st.booleans()})
    ),
    answered=st.fixed_dictionaries(
        {"is_sound": st.booleans(), "first_start": st.none() | TIMES, "newest_change": st.none() | TIMES}
    ),
)
def test_every_entry_has_at_most_one_reason_and_one_without_passes_every_rule(
    entries: list[dict[str, Any]], answered: dict[str, Any]
):
    missing = entry_rows(*({"id": number, **entry} for number, entry in enumerate(entries, 1)))
    described = answer(**answered)
    masks = find_reasons_to_keep(missing, described, FREE, DeletionRules())
    held = np.zeros(len(missing), np.int64)
    for mask in masks.values():
        held += mask
    assert (held <= 1).all()
    for number in np.flatnonzero(held == 0):
        entry = entries[number]
        assert described.is_sound
        assert entry["seen"] <= described.described_at
        assert described.first_start is not None
        assert entry["starts"] >= described.first_start
        assert entry["updated"] <= max(described.newest_change or NOON - 10_000 * DAY, NOON - DAY)


@pytest.mark.parametrize(
    ("missing", "live", "refused"), [(20, 20, False), (21, 105, False), (21, 104, True), (21, 21, True), (0, 0, False)]
)
def test_an_unusual_share_needs_approval(missing: int, live: int, refused: bool):
    assert DeletionRules().need_approval(missing, live) is refused
    assert DeletionRules(allow_mass=True).need_approval(missing, live) is False


@pytest.mark.parametrize(
    ("workspace", "me", "expected"),
    [
        ({"admin": True, "premium": True}, {"id": 7}, Visibility(7, True, True, None)),
        ({"role": "admin", "business_ws": True}, {"id": 7}, Visibility(7, True, True, None)),
        ({"role": "user", "admin": False}, {"id": 7}, Visibility(7, False, False, None)),
        ({"admin": True, "max_data_retention_days": 90}, {"id": 7}, Visibility(7, True, False, 90)),
        ({"admin": True, "max_data_retention_days": 0}, {}, Visibility(None, True, False, None)),
        ([], None, Visibility(None, False, False, None)),
    ],
)
def test_what_toggl_does_not_say_counts_as_hidden(workspace: Any, me: Any, expected: Visibility):
    assert Visibility.from_http(workspace, me) == expected


def test_a_member_cannot_see_entries_of_others_nor_those_that_the_plan_hides():
    candidates = entry_rows({"id": 1}, {"id": 2, "users": 8}, {"id": 3, "starts": NOON - 100 * DAY})
    member = Visibility(7, False, False, 90)
    masks = deletion_policy.find_invisible(candidates, member, NOON)
    assert deletion_policy.ids_by_reason(masks, candidates) == {
        deletion_policy.NOT_ADMIN: [2],
        deletion_policy.RETENTION: [3],
    }
    assert deletion_policy.ids_by_reason(deletion_policy.find_invisible(candidates, FREE, NOON), candidates) == {}
    edge = entry_rows({"id": 4, "starts": NOON - 89.5 * DAY}, {"id": 5, "starts": NOON - 88.5 * DAY})
    assert deletion_policy.find_invisible(edge, member, NOON)[deletion_policy.RETENTION].tolist() == [True, False]


def test_a_user_who_lost_many_entries_and_has_none_left_is_kept():
    candidates = entry_rows(*({"id": number, "users": 8} for number in range(1, 30)), {"id": 99, "users": 9})
    left = entry_rows({"id": 100})
    assert deletion_policy.find_whole_users(candidates, left, DeletionRules()).sum() == 29
    assert deletion_policy.find_whole_users(candidates, entry_rows({"id": 100, "users": 8}), DeletionRules()).sum() == 0
    assert deletion_policy.find_whole_users(candidates, left, DeletionRules(allow_mass=True)).sum() == 0
