"""What Toggl leaves undocumented is a switch of the sandbox: whatever it is set to, runs end with the truth."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.sandbox.settings import Settings

ENTRIES = ("time_entries",)
WITHIN_PAGES = {"page_size": 70}

# Each value of each switch that the sandbox does not begin with, and the streams that it may touch. Those that have
# nothing to do with each other are tried together.
SWITCHES: list[Any] = [
    ({"plan": "starter"}, ("time_entries", "projects", "tasks", "project_users")),
    ({"plan": "premium"}, ("time_entries", "projects")),
    ({"plan": "enterprise"}, ("projects",)),
    ({"largest_page_size": 50}, ENTRIES),
    ({"largest_page_size": 20, "page_size_over_largest": "refuse"}, ENTRIES),
    ({"report_range_counts": "inclusive"}, ENTRIES),
    ({"report_range_days": 31, "report_range_counts": "inclusive"}, ENTRIES),
    (
        {
            "report_times": "utc",
            "report_no_description_is_empty": True,
            "no_tags": "null",
            "report_rounding_zero": "none",
        },
        ENTRIES,
    ),
    ({"report_includes_running": False}, ENTRIES),
    ({"report_running_seconds": "elapsed", "report_time_entry_ids": "ignore", "report_shows_members": "all"}, ENTRIES),
    ({"retention_days": 60, "retention_reported": True}, ENTRIES),
    (
        {"running_duration": "minus_one", "task_deletion_moves_at": False, "project_deletion_moves_at": False},
        ("time_entries", "tasks"),
    ),
    ({"tag_deletion_moves_at": True, "v9_at": "seconds"}, ("time_entries", "tags", "projects", "tasks")),
    (
        {
            "newer_keys": False,
            "clients_report_deletion": False,
            "users_list_deleted": False,
            "client_deletion_moves_at": False,
        },
        ("projects", "clients", "tags", "tasks", "users", "project_users", "groups"),
    ),
    # Toggl does not report this maximum. With an unusual size, a full page would look like the last one.
    ({"tags_largest_per_page": 50}, ("tags",)),
    ({"tags_largest_per_page": 151}, ("tags",)),
    (
        {
            "quota_enforced": True,
            "quota_kind": "sliding",
            "organization_quota": 500,
            "unused_quota_resets_in": "window",
            "bucket_enforced": True,
            "bucket_rate": 100.0,
            "bucket_capacity": 2.0,
            "retry_after": True,
        },
        ("time_entries", "clients"),
    ),
]

# What no request of a run can notice, or what other tests are about.
OF_NO_CONCERN = {
    **{name: "of webhooks" for name in Settings().as_dict() if name.startswith("webhook_")},
    "user_quota": "of /me only, which no run asks",
    "quota_window_seconds": "runs that wait for a quota are the operator's",
    "created_with_needed": "of writes",
    "billable_needs_paid_plan": "of writes",
    "tasks_need_paid_plan": "of writes",
    "tag_write_answer": "of writes",
    "current_when_idle": "of /me",
    "me_entries_horizon_days": "of /me",
    "me_entries_default_days": "of /me",
    "quota_request_counts": "of /me/quota",
    "wrong_token_status": "of wrong tokens, which bad answers are about",
    "password": "of people who sign in with it",
    "quota_text": "of a refusal, which the client's own tests are about",
    "report_paid_filters_refused": "of filters, which no run asks for",
    "report_lists_page_size": "of lists that no run asks for",
    "summary_gives_ids": "of summaries, which no pull asks for",
    "summary_ids_where": "of summaries, which no pull asks for",
    "first_id_needs_timestamp": "of first_id, which no run sends",
    "labor_costs_shown": "of members and rates, which tests of their own are about",
    "project_groups_need_ids": "of later streams, which tests of their own are about",
    **dict.fromkeys(
        (
            "team_goals_need_paid_plan",
            "team_goals_alone",
            "goals_list_archived",
            "alerts_need_paid_plan",
            "project_periods_answer",
        ),
        "of goals, alerts and periods, which tests of their own are about",
    ),
    "rates_list_deleted": "of rates, which tests of their own are about",
    **dict.fromkeys(
        ("timesheets_answer", "timesheet_history_answer", "audit_log_time"),
        "of later streams, which tests of their own are about",
    ),
}


def name_of(case: Any) -> str | None:
    return ",".join(f"{name}={value}" for name, value in case.items()) if isinstance(case, dict) else None


@pytest.mark.parametrize(("settings", "streams"), SWITCHES, ids=name_of)
def test_runs_end_with_the_truth_whatever_a_switch_is_set_to(build, settings: dict[str, Any], streams: tuple[str, ...]):
    workspace: Workspace = build(entries=150, days=30, tags=170, **settings)
    for _ in range(2):
        workspace.toggl.mutate(seed=1, n=80)
        workspace.toggl.advance(600)
        for stream in streams:
            workspace.pull(stream, **(WITHIN_PAGES if stream == "time_entries" else {}))
    assert differences(workspace, settings, streams) == []


def differences(workspace: Workspace, settings: dict[str, Any], streams: tuple[str, ...]) -> list[str]:
    """Return how those streams differ from the truth, in what the switches let be known of it."""
    words = workspace.wrong(*streams, with_deletions=False)
    if settings.get("report_includes_running") is False:
        running = {entry.id for entry in workspace.toggl.world.time_entries.values() if entry.is_running}
        # An entry that runs is missing until it stops, unless it was stopped before and runs again.
        words = [word for word in words if int(word.split()[1].rstrip(":")) not in running]
    if settings.get("task_deletion_moves_at") is False:
        # No event or report names the entries that had the task.
        words = [word for word in words if "task_id" not in word]
    if settings.get("project_deletion_moves_at") is False:
        # Nor those that had the project.
        words = [word for word in words if "project_id" not in word]
    return words


def test_every_switch_of_the_sandbox_has_its_place_here():
    tried = {name for case in SWITCHES for name in getattr(case, "values", case)[0]}
    known = {field.name for field in fields(Settings)}
    assert known - tried - set(OF_NO_CONCERN) == set()
    assert (tried | set(OF_NO_CONCERN)) - known == set()


def test_durations_are_not_rounded_whatever_the_workspace_rounds_to(workspace: Workspace):
    for rounding in (-1, 1):
        workspace.toggl.control("PATCH", "workspace", {"rounding": rounding, "rounding_minutes": 15})
        workspace.pull(incremental=False, since="2026-01-01")
        assert workspace.wrong("time_entries") == []


def test_days_are_those_of_the_owner_wherever_that_is(build):
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        workspace: Workspace = build(entries=120, days=30)
        workspace.toggl.world.owner.timezone = zone
        workspace.pull()
        assert workspace.wrong("time_entries") == []
        workspace.path.unlink()
