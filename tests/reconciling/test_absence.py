"""Each reason for which an entry may be missing in a report and not be gone: ordered, and the row stays."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.pulls import Workspace
from support.truth import live

from airflow_provider_toggl.core.errors import AbsenceRefused, AccessDenied, ConnectionTrouble, MalformedAnswer
from airflow_provider_toggl.core.load.decode.records import Observation, decode_page
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.window import NOT_IN_TOTALS
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_entry
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

DAY = timedelta(days=1)
REPORTS = {"path": "/reports/"}


def delete(workspace: Workspace, *entries: TimeEntry) -> list[int]:
    """Delete entries some time after what came before, and return their ids."""
    workspace.toggl.advance(10)
    return workspace.delete(*entries)


def live_ids(workspace: Workspace) -> set[int]:
    return set(live(workspace.path, "time_entries"))


@pytest.fixture(params=[True, False], ids=["ids", "sums"])
def pulled(build_pulled, request: pytest.FixtureRequest) -> Any:
    """Build a workspace that is pulled; its summaries give ids or only sums."""
    return lambda **settings: build_pulled(
        **{"entries": 90, "days": 45, "summary_gives_ids": request.param, **settings}
    )


@pytest.fixture
def pulled_with_ids(build_pulled) -> Any:
    """Build a workspace that is pulled, for cases that are alike however a missing entry is found."""
    return lambda **settings: build_pulled(**{"entries": 90, "days": 45, **settings})


def test_what_was_deleted_is_marked_so_and_nothing_else_changes(pulled):
    workspace = pulled()
    before = {row["id"]: row for row in workspace.content()}
    gone = delete(workspace, *workspace.entries()[20:23])
    assert workspace.reconcile().deleted == 3
    changed = {row["id"]: row for row in workspace.content()}
    assert sorted(id_ for id_, row in before.items() if changed[id_] != row) == gone
    assert all(changed[id_] == {**row, "absent_at": changed[id_]["absent_at"]} for id_, row in before.items())


def test_an_unusual_share_at_once_is_an_error_until_a_person_approves_it(pulled_with_ids):
    workspace = pulled_with_ids(plan="premium")
    gone = delete(workspace, *workspace.entries()[10:50])
    before = live_ids(workspace)
    with pytest.raises(AbsenceRefused, match=r"Reports lack 40 of 90 live entries of .* \(44%\).*allow_mass_absence"):
        workspace.reconcile()
    assert live_ids(workspace) == before
    summary = workspace.reconcile(rules={"allow_mass": True})
    assert summary.deleted == 40
    assert live_ids(workspace) == before - set(gone)


def test_what_is_refused_does_not_keep_other_things_from_being_repaired(pulled_with_ids):
    workspace = pulled_with_ids(plan="premium")
    world = workspace.toggl.world
    edited = workspace.entries()[5]
    delete(workspace, *workspace.entries()[10:50])
    world.change(edited, {"description": "edited meanwhile"}, world.owner)
    with pytest.raises(AbsenceRefused):
        workspace.reconcile()
    assert live(workspace.path, "time_entries")[edited.id]["description"] == "edited meanwhile"


def test_a_token_that_lost_its_rights_marks_no_entry_of_others(pulled):
    workspace = pulled(plan="premium", users=4)
    owner = workspace.toggl.world.owner
    own = [entry for entry in workspace.entries() if entry.user_id == owner.id]
    gone = delete(workspace, own[len(own) // 2])
    workspace.toggl.change_user(is_admin=False)
    before = live_ids(workspace)
    summary = workspace.reconcile()
    assert live_ids(workspace) == before - set(gone)
    others = sum(1 for entry in workspace.toggl.world.time_entries.values() if entry.user_id != owner.id)
    assert 0 < summary.unverified[deletion_policy.NOT_ADMIN] <= others


def test_entries_of_days_that_the_plan_hides_are_kept_where_toggl_says_so(pulled):
    workspace = pulled(entries=120)
    workspace.toggl.set(retention_days=40, retention_reported=True)
    before = live_ids(workspace)
    summary = workspace.reconcile()
    assert live_ids(workspace) == before
    assert set(summary.unverified) - {deletion_policy.BEFORE_FIRST_SHOWN, NOT_IN_TOTALS} == {deletion_policy.RETENTION}


def test_entries_before_the_first_shown_one_are_kept_where_toggl_says_nothing(pulled):
    workspace = pulled(entries=120)
    workspace.toggl.set(retention_days=40)
    before = live_ids(workspace)
    summary = workspace.reconcile()
    assert live_ids(workspace) == before
    assert summary.unverified[deletion_policy.BEFORE_FIRST_SHOWN] > 0


def test_on_a_paid_plan_the_oldest_entry_of_all_can_go(pulled_with_ids):
    workspace = pulled_with_ids(plan="premium")
    gone = delete(workspace, workspace.entries()[0])
    workspace.reconcile()
    assert not live_ids(workspace) & set(gone)


def test_what_was_changed_last_of_all_is_gone_when_a_day_has_settled_it(pulled_with_ids):
    workspace = pulled_with_ids()
    world = workspace.toggl.world
    workspace.toggl.advance(1000)
    entry = workspace.entries()[7]
    world.change(entry, {"description": "late"}, world.owner)
    workspace.pull()
    gone = delete(workspace, entry)
    workspace.toggl.advance(1000)
    # No report shows anything newer, so it may be one from before the change.
    assert workspace.reconcile().unverified[deletion_policy.TOO_NEW] == 1
    assert live_ids(workspace) >= set(gone)
    workspace.toggl.advance(86_400)
    workspace.reconcile()
    assert not live_ids(workspace) & set(gone)


def test_what_was_changed_before_something_that_is_shown_is_gone_at_once(pulled_with_ids):
    workspace = pulled_with_ids()
    world = workspace.toggl.world
    workspace.toggl.advance(1000)
    early, late = workspace.entries()[7], workspace.entries()[-1]
    world.change(early, {"description": "early"}, world.owner)
    world.change(late, {"description": "late"}, world.owner)
    workspace.pull()
    gone = delete(workspace, early)
    workspace.toggl.advance(1000)
    workspace.reconcile()
    assert not live_ids(workspace) & set(gone)


def test_entries_made_within_the_lag_of_reports_stay(pulled):
    workspace = pulled()
    workspace.toggl.advance(2000)
    workspace.toggl.mutate(seed=1, n=4, kinds=["create"])
    workspace.pull()
    before = live_ids(workspace)
    workspace.toggl.fault("reports_lag", seconds=1500, match=REPORTS, times=None)
    summary = workspace.reconcile()
    assert live_ids(workspace) == before
    assert summary.deleted == 0
    assert {deletion_policy.TOO_NEW, deletion_policy.SEEN_LATER} & set(summary.unverified)
    workspace.toggl.clear_faults()
    assert set(workspace.reconcile().unverified) <= {NOT_IN_TOTALS}


@pytest.mark.parametrize("where", ["search/time_entries$", "/reports/"])
def test_an_answer_without_its_control_entries_is_not_used(pulled, where: str):
    workspace = pulled(plan="premium")
    delete(workspace, *workspace.entries()[20:23])
    workspace.reconcile()
    gone = delete(workspace, *workspace.entries()[30:33])
    before = live_ids(workspace)
    # Everything is hidden from the answers that are to prove it: they look like those of a workspace without entries.
    workspace.toggl.fault("hide_entries", match={"path": where}, times=None)
    with suppress(AbsenceRefused):
        summary = workspace.reconcile()
        assert {deletion_policy.CONTROLS_MISSING, deletion_policy.WHOLE_USER} & set(summary.unverified)
    assert live_ids(workspace) == before
    workspace.toggl.clear_faults()
    workspace.reconcile()
    assert live_ids(workspace) == before - set(gone)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "short_page", "drop_rows": 3, "keep_next": True},
        {"kind": "cut", "fraction": 0.7},
        {"kind": "not_json"},
        {"kind": "drop_field", "field": "time_entries", "row": 0},
        {"kind": "drop_field", "field": "user_id"},
        {"kind": "set_field", "field": "time_entries.id", "value": "x"},
    ],
    ids=lambda fault: fault["kind"] + str(fault.get("field", "")),
)
def test_incomplete_answers_mark_no_entry_that_exists(pulled, fault: dict[str, Any]):
    workspace = pulled(plan="premium", largest_page_size=50)
    gone = set(delete(workspace, *workspace.entries()[20:23]))
    before = live_ids(workspace)
    kind = fault["kind"]
    more = {name: value for name, value in fault.items() if name != "kind"}
    workspace.toggl.fault(kind, match={"path": "/reports/"}, probability=0.5, seed=3, times=None, **more)
    with suppress(MalformedAnswer, ConnectionTrouble, AbsenceRefused):
        workspace.reconcile()
    assert live_ids(workspace) >= before - gone
    workspace.toggl.clear_faults()
    workspace.reconcile()
    assert live_ids(workspace) == before - gone


def test_entries_that_one_report_hides_and_the_next_one_shows_stay(pulled):
    workspace = pulled()
    hidden = [entry.id for entry in workspace.entries()[20:30]]
    before = live_ids(workspace)
    workspace.toggl.fault("hide_entries", ids=hidden, match={"path": "/summary/"}, times=None)
    workspace.toggl.fault("hide_entries", ids=hidden, match={"path": "/totals"}, times=None)
    workspace.toggl.fault("hide_entries", ids=hidden, match={"path": "search/time_entries$"}, times=2)
    assert workspace.reconcile().deleted == 0
    assert live_ids(workspace) == before


def test_an_entry_that_was_wrongly_marked_comes_back(pulled_with_ids):
    workspace = pulled_with_ids()
    hidden = [entry.id for entry in workspace.entries()[20:23]]
    before = live_ids(workspace)
    workspace.toggl.fault("hide_entries", ids=hidden, match=REPORTS, times=None)
    workspace.toggl.advance(10)
    assert workspace.reconcile().deleted == 3
    workspace.toggl.clear_faults()
    workspace.toggl.advance(10)
    assert workspace.reconcile().edited == 3
    assert live_ids(workspace) == before


def test_running_entries_that_no_report_has_ever_shown_stay(pulled_with_ids):
    workspace = pulled_with_ids(report_includes_running=False)
    world = workspace.toggl.world
    start = world.now().replace(microsecond=0) - 2 * DAY
    running = TimeEntry(world.next_id("time_entry"), workspace.id, world.owner.id, start, None, -1, at=start)
    world.load(running)
    see(workspace, running, start)
    summary = workspace.reconcile()
    assert running.id in live_ids(workspace)
    assert summary.deleted == 0
    assert set(summary.unverified) <= {deletion_policy.RUNNING, NOT_IN_TOTALS}


def test_entries_of_a_user_who_has_none_left_are_kept(pulled_with_ids):
    workspace = pulled_with_ids(plan="premium", entries=200, users=4)
    ids: dict[int, list[int]] = {}
    for entry in workspace.entries():
        ids.setdefault(entry.user_id, []).append(entry.id)
    user, own = next((user, own) for user, own in ids.items() if len(own) > 5)
    own = [entry.id for entry in workspace.toggl.world.time_entries.values() if entry.user_id == user]
    before = live_ids(workspace)
    workspace.toggl.fault("hide_entries", ids=own, match=REPORTS, times=None)
    summary = workspace.reconcile(rules={"absent_share": 1.0, "absent_rows": 5})
    assert live_ids(workspace) == before
    assert summary.unverified[deletion_policy.WHOLE_USER] > 5


def test_an_entry_that_is_seen_while_its_deletion_is_confirmed_stays(pulled):
    """An event that is drained meanwhile reports the entry as restored."""
    workspace = pulled()
    entry = workspace.entries()[20]
    delete(workspace, entry)
    seen_at: list[datetime] = []

    def before_call(call: Any) -> None:
        if call.path.endswith("/workspaces/" + str(workspace.id)) and not seen_at:
            moment = workspace.toggl.world.now()
            seen_at.append(moment)
            see(workspace, replace(entry, deleted_at=None), moment)

    summary = workspace.reconcile(before_call=before_call)
    assert seen_at
    assert entry.id in live_ids(workspace)
    assert summary.deleted == 0


def see(workspace: Workspace, entry: TimeEntry, moment: datetime) -> None:
    """Load an entry as an event of that moment reports it."""
    body = json.dumps([v9_entry(workspace.toggl.world, entry)]).encode()
    with build_duckdb_warehouse(workspace.path) as target:
        target.load([decode_page("time_entries", body, Observation(workspace.id, moment))])


def test_the_log_has_each_reason_with_ids(pulled_with_ids, caplog: pytest.LogCaptureFixture):
    workspace = pulled_with_ids(users=4)
    workspace.toggl.change_user(is_admin=False)
    caplog.set_level(logging.WARNING)
    workspace.reconcile()
    said = [record.getMessage() for record in caplog.records if deletion_policy.NOT_ADMIN in record.getMessage()]
    assert len(said) == 1
    assert re.search(r"^\d+ missing in reports and kept: .* \(\d+, \d+", said[0])


# -- what was changed meanwhile ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pulled", "blind", "first"),
    # Each pair of values is in one case.
    [
        (True, "rights", False),
        (True, "retention", True),
        (True, "hidden", False),
        (False, "rights", True),
        (False, "retention", False),
        (False, "hidden", True),
    ],
    indirect=["pulled"],
)
def test_what_was_changed_while_reports_did_not_show_it_is_found_when_they_do(pulled, blind: str, first: bool):
    workspace = pulled(plan="free" if blind == "retention" else "premium", users=4, largest_page_size=5)
    toggl, world = workspace.toggl, workspace.toggl.world
    *_, edited = entries = [entry for entry in workspace.entries()[:40] if entry.user_id != world.owner.id]
    if not first:
        workspace.reconcile()
    toggl.advance(3_600)
    if blind == "rights":
        toggl.change_user(is_admin=False)
    elif blind == "retention":
        toggl.set(retention_days=2, retention_reported=True)
    else:
        toggl.fault("hide_entries", share=1.0, seed=1, match=REPORTS, times=None)
    # Its seconds stay, so that no total differs, and more than a page is newer.
    world.change(edited, {"description": "edited unseen"}, world.owner)
    toggl.advance(3 * 86_400)
    for entry in [one for one in workspace.entries() if one not in entries][-12:]:
        world.change(entry, {"description": "seen"}, world.owner)
        toggl.advance(1)
    for _ in range(2):
        with suppress(AbsenceRefused):
            workspace.reconcile()
        toggl.advance(3 * 86_400)
    assert live(workspace.path, "time_entries")[edited.id]["description"] != "edited unseen"
    toggl.clear_faults()
    toggl.change_user(is_admin=True)
    toggl.set(retention_days=None)
    workspace.reconcile()
    assert live(workspace.path, "time_entries")[edited.id]["description"] == "edited unseen"
    requests = workspace.reconcile().requests
    assert workspace.reconcile().requests == requests, "it is looked for once"


def test_a_run_that_failed_while_it_saw_less_hides_no_change_either(pulled):
    workspace = pulled(plan="premium", users=4, largest_page_size=5)
    toggl, world = workspace.toggl, workspace.toggl.world
    *_, edited = entries = [entry for entry in workspace.entries()[:40] if entry.user_id != world.owner.id]
    workspace.reconcile()
    toggl.change_user(is_admin=False)
    world.change(edited, {"description": "edited unseen"}, world.owner)
    # More than a page is newer, some of it than the mark of the run that fails, less its overlap.
    others = [one for one in workspace.entries() if one not in entries][-24:]
    for some in (others[:12], others[12:]):
        toggl.advance(86_400)
        for entry in some:
            world.change(entry, {"description": "seen"}, world.owner)
        toggl.advance(86_400)
    # The changes are read, and the mark moves; what is missing is not looked at any more.
    toggl.fault("status", status=403, match={"path": "summary/"}, times=1)
    with pytest.raises(AccessDenied):
        workspace.reconcile()
    toggl.advance(3 * 86_400)
    workspace.reconcile()
    toggl.advance(3 * 86_400)
    toggl.change_user(is_admin=True)
    workspace.reconcile()
    assert live(workspace.path, "time_entries")[edited.id]["description"] == "edited unseen"
