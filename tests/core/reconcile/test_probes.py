from __future__ import annotations

from datetime import timezone

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support.entry_rows import NOON, entry_rows

from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile.probes import build_planner


@given(
    missing=st.lists(st.integers(0, 800), min_size=1, max_size=40, unique=True),
    present=st.lists(st.integers(0, 800), max_size=40, unique=True),
    page=st.integers(4, 30),
)
def test_every_candidate_is_probed_once_within_a_page_and_a_span_that_holds_it(
    missing: list[int], present: list[int], page: int
):
    candidates = entry_rows(*({"id": 1 + day, "starts": NOON - day * DAY, "users": day % 5} for day in missing))
    shown = entry_rows(*({"id": 10_001 + day, "starts": NOON - day * DAY, "users": day % 5} for day in present))
    planner = build_planner(shown, shown, timezone.utc, page, 366)
    probes = list(planner.probes_by_ids(candidates))
    probed = [id_ for probe in probes for id_ in probe.candidates.ids.tolist()]
    assert sorted(probed) == candidates.ids.tolist()
    for probe in probes:
        assert len(probe.ids) <= page
        assert probe.window.days <= 366
        for id_ in probe.ids:
            day = (NOON - (id_ - (10_001 if id_ > 10_000 else 1)) * DAY).date()
            assert probe.window.first <= day <= probe.window.last
        for day in probe.candidates.ids - 1:
            # A day beside it, so that no zone can put it outside.
            assert probe.window.first < (NOON - int(day) * DAY).date() < probe.window.last


def test_controls_are_before_and_after_the_candidate_and_of_its_user():
    candidates = entry_rows({"id": 1, "users": 8})
    present = entry_rows(
        {"id": 2, "starts": NOON - 30 * DAY},
        {"id": 3, "starts": NOON - 11 * DAY},
        {"id": 4, "starts": NOON - 9 * DAY, "updated": NOON},
        {"id": 5, "starts": NOON - 8 * DAY, "users": 8},
    )
    (probe,) = build_planner(present, present, timezone.utc, 100, 366).probes_by_ids(candidates)
    assert {3, 4} <= set(probe.controls)
    wide = entry_rows({"id": 1, "users": 8}, {"id": 6, "users": 7, "starts": NOON - 7 * DAY})
    (probe,) = build_planner(present, present, timezone.utc, 100, 366).probes_by_ids(wide)
    assert {3, 4, 5} <= set(probe.controls)
    assert not probe.is_answered_by(np.array([3, 4]))
    assert probe.is_answered_by(np.array(probe.controls))


def test_an_answer_without_any_entry_is_no_evidence():
    (probe,) = build_planner(entry_rows(), entry_rows(), timezone.utc, 100, 366).probes_by_ids(entry_rows({"id": 1}))
    assert not probe.is_answered_by(np.array([], np.int64))


def test_a_control_may_start_with_the_last_candidate():
    candidates = entry_rows({"id": 1, "users": 8}, {"id": 2, "users": 8, "starts": NOON - 5 * DAY})
    present = entry_rows(
        {"id": 3, "starts": NOON - 11 * DAY, "updated": NOON},
        {"id": 4, "starts": NOON - 5 * DAY},
        {"id": 5, "starts": NOON - 4 * DAY},
    )
    (probe,) = build_planner(present, present, timezone.utc, 100, 366).probes_by_ids(candidates)
    assert probe.controls == (3, 4)


def test_half_of_a_page_is_for_candidates():
    candidates = entry_rows(*({"id": 1 + day, "starts": NOON - day * DAY} for day in range(10)))
    probes = build_planner(entry_rows(), entry_rows(), timezone.utc, 10, 366).probes_by_ids(candidates)
    assert [len(probe.candidates) for probe in probes] == [5, 5]


def test_a_probe_by_days_is_of_the_candidates_users_and_has_controls_from_midnight_on():
    midnight = NOON.replace(hour=0)
    candidates = entry_rows({"id": 1, "users": 8, "starts": NOON})
    present = entry_rows(
        {"id": 2, "users": 8, "starts": midnight - 2 * DAY, "updated": NOON},
        {"id": 3, "users": 8, "starts": NOON - DAY},
        {"id": 4, "users": 7},
    )
    planner = build_planner(present, present, timezone.utc, 100, 366)
    (probe,) = planner.probes_by_days(candidates, [Window((NOON - DAY).date(), NOON.date())])
    assert (probe.users, probe.controls, probe.window.first) == ((8,), (2, 3), (NOON - 2 * DAY).date())
