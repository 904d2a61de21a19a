"""The JSON of v9: keys, their order and their formats as recorded."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_client, v9_entry, v9_project, v9_tag, v9_task
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import (
    org_group,
    v9_group,
    v9_me,
    v9_organization,
    v9_simple_user,
    v9_workspace,
    v9_workspace_user,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.entries import create_entry
from airflow_provider_toggl.sandbox.rest_v9.writes.projects import create_project
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.rest_v9.writes.tasks import create_task
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123450, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")

ENTRY_KEYS = [
    "id", "workspace_id", "project_id", "task_id", "billable", "start", "stop", "duration", "description", "tags",
    "tag_ids", "duronly", "at", "server_deleted_at", "user_id",
]  # fmt: skip
LEGACY_KEYS = ["uid", "wid"]


@pytest.fixture
def world() -> World:
    return build_world(entries=60, days=30, now=NOW, clock=lambda: NOW)


def create(world: World, **payload: Any) -> TimeEntry:
    body = {"created_with": "t", "start": "2026-03-19T08:00:00Z", **payload}
    return create_entry(WriteRequest(world, world.owner, body))


def project_with_client(world: World) -> int:
    return next(project.id for project in world.projects.values() if project.active and project.client_id)


class TestTimeEntriesOfV9:
    def test_a_read_has_the_recorded_keys_and_offsets(self, world: World) -> None:
        shown = v9_entry(world, create(world, duration=3600))
        assert list(shown) == ENTRY_KEYS + LEGACY_KEYS
        assert (shown["start"], shown["stop"]) == ("2026-03-19T08:00:00+00:00", "2026-03-19T09:00:00+00:00")
        assert (shown["tags"], shown["tag_ids"], shown["duronly"]) == ([], [], True)
        assert shown["server_deleted_at"] is None

    def test_at_is_in_microseconds_without_trailing_zeros(self, world: World) -> None:
        assert v9_entry(world, create(world))["at"] == "2026-03-20T15:30:00.12345Z"

    def test_the_older_form_of_at_is_a_switch_and_comes_with_permissions(self, world: World) -> None:
        world.settings.v9_at = "seconds"
        shown = v9_entry(world, create(world))
        assert (shown["at"], list(shown)[-1], shown["permissions"]) == (
            "2026-03-20T15:30:00+00:00",
            "permissions",
            None,
        )

    def test_an_answer_to_a_write_ends_times_with_z(self, world: World) -> None:
        entry = create(world, duration=60)
        shown = v9_entry(world, entry, fresh_write=True)
        assert (shown["start"], shown["stop"], shown["tags"]) == ("2026-03-19T08:00:00Z", "2026-03-19T08:01:00Z", [])

    def test_an_answer_to_a_creation_has_null_for_no_tags(self, world: World) -> None:
        shown = v9_entry(world, create(world), created=True)
        assert (shown["tags"], shown["tag_ids"], shown["start"]) == (None, None, "2026-03-19T08:00:00Z")
        assert v9_entry(world, create(world, tags=["bug"]), created=True)["tags"] == ["bug"]

    def test_no_tags_can_be_null_in_reads(self, world: World) -> None:
        world.settings.no_tags = "null"
        assert v9_entry(world, create(world))["tags"] is None

    def test_pid_and_tid_are_there_only_with_a_project_and_a_task(self, world: World) -> None:
        project_id = project_with_client(world)
        assert list(v9_entry(world, create(world, project_id=project_id)))[-1] == "pid"
        task = next(task for task in world.tasks.values() if not task.deleted_at)
        assert list(v9_entry(world, create(world, task_id=task.id)))[-2:] == ["pid", "tid"]

    def test_a_single_read_lacks_the_legacy_keys(self, world: World) -> None:
        entry = create(world, project_id=project_with_client(world))
        assert list(v9_entry(world, entry, single_read=True)) == ENTRY_KEYS

    def test_meta_adds_names_in_the_recorded_order(self, world: World) -> None:
        shown = v9_entry(world, create(world, project_id=project_with_client(world)), meta=True)
        assert list(shown)[len(ENTRY_KEYS + LEGACY_KEYS) + 1 :] == [
            "client_name", "project_name", "project_color", "project_active", "project_billable", "user_name",
            "user_avatar_url",
        ]  # fmt: skip

    def test_a_running_one_has_minus_its_unix_start_or_minus_one(self, world: World) -> None:
        entry = create(world, duration=-1)
        shown = v9_entry(world, entry)
        assert (shown["stop"], shown["duration"]) == (None, -1773907200)
        world.settings.running_duration = "minus_one"
        assert v9_entry(world, entry)["duration"] == -1

    def test_one_without_stop_that_does_not_run_has_duration_zero(self, world: World) -> None:
        shown = v9_entry(world, create(world))
        assert (shown["stop"], shown["duration"]) == (None, 0)

    def test_a_deleted_one_is_marked_in_whole_seconds(self, world: World) -> None:
        entry = create(world)
        world.mark_deleted(entry)
        assert v9_entry(world, entry)["server_deleted_at"] == "2026-03-20T15:30:00+00:00"


class TestTheOthers:
    def test_a_project_has_the_recorded_keys_without_the_newer_ones(self, world: World) -> None:
        world.settings.newer_keys = False
        shown = v9_project(world, world.projects[project_with_client(world)])
        assert list(shown) == [
            "id", "workspace_id", "client_id", "name", "is_private", "active", "at", "created_at",
            "server_deleted_at", "color", "billable", "template", "auto_estimates", "estimated_hours",
            "estimated_seconds", "rate", "rate_last_updated", "currency", "recurring", "template_id",
            "recurring_parameters", "fixed_fee", "actual_hours", "actual_seconds", "start_date", "status", "wid",
            "cid", "permissions",
        ]  # fmt: skip
        assert shown["billable"] is shown["rate"] is shown["currency"] is None

    def test_newer_keys_come_beside_the_recorded_ones(self, world: World) -> None:
        project = world.projects[project_with_client(world)]
        assert v9_project(world, project)["can_track_time"] is True
        assert "disable_approvals" in v9_workspace(world)
        world.settings.newer_keys = False
        assert "disable_approvals" not in v9_workspace(world)

    def test_a_project_has_the_hours_of_its_live_entries(self, world: World) -> None:
        project = create_project(WriteRequest(world, world.owner, {"name": "Fresh", "active": True}))
        assert v9_project(world, project)["actual_seconds"] is None
        create(world, project_id=project.id, duration=3700)
        gone = create(world, project_id=project.id, duration=10)
        world.mark_deleted(gone)
        shown = v9_project(world, project)
        assert (shown["actual_hours"], shown["actual_seconds"]) == (1, 3700)

    def test_an_answer_to_a_project_s_creation_has_no_status(self, world: World) -> None:
        project = create_project(WriteRequest(world, world.owner, {"name": "Fresh"}))
        assert "status" not in v9_project(world, project, created=True)
        assert v9_project(world, project, fresh_write=True)["status"] == "archived"

    def test_rates_of_a_paid_plan_are_in_units(self, world: World) -> None:
        world.settings.plan = "premium"
        project = next(project for project in world.projects.values() if project.hourly_rate_cents)
        world.rates.set("billable_rates", project, 6250)
        shown = v9_project(world, project)
        assert (shown["rate"], shown["billable"], shown["currency"]) == (62.5, True, "USD")

    def test_budgets_are_shown_on_paid_plans_alone(self, world: World) -> None:
        project = next(iter(world.projects.values()))
        project.estimated_seconds, project.fixed_fee, project.recurs_days = 7200, 950.5, 10_000
        period = {
            "start_date": project.start_date.isoformat(),
            "end_date": (project.start_date + timedelta(days=9_999)).isoformat(),
        }
        for plan, shown in (("premium", [2, 7200, 950.5, True, period]), ("free", [None, None, None, False, None])):
            world.settings.plan = plan
            document = v9_project(world, project)
            names = ("estimated_hours", "estimated_seconds", "fixed_fee", "recurring", "current_period")
            assert [document.get(name) for name in names] == shown

    def test_deleted_ones_are_marked(self, world: World) -> None:
        def gone(things: dict[int, Any]) -> Any:
            return next(thing for thing in things.values() if thing.deleted_at)

        project = v9_project(world, gone(world.projects))
        assert (project["status"], project["server_deleted_at"] is None) == ("deleted", False)
        assert v9_client(world, gone(world.clients))["server_deleted_at"]
        assert v9_tag(world, gone(world.tags))["deleted_at"]
        assert v9_task(world, gone(world.tasks))["server_deleted_at"]
        world.settings.clients_report_deletion = False
        assert "server_deleted_at" not in v9_client(world, gone(world.clients))

    def test_tracked_time_of_a_task_is_in_milliseconds(self, world: World) -> None:
        world.settings.plan = "premium"
        task = create_task(WriteRequest(world, world.owner, {"name": "Fresh"}), project_with_client(world))
        create(world, task_id=task.id, duration=90)
        assert v9_task(world, task)["tracked_seconds"] == 90_000

    def test_a_workspace_user_has_its_own_id_beside_the_person_s(self, world: World) -> None:
        user = world.owner
        shown = v9_workspace_user(world, user)
        assert (shown["id"], shown["uid"], shown["wid"]) == (user.workspace_user_id, user.id, world.workspace.id)
        assert "user_id" not in shown
        assert v9_workspace_user(world, user, organization_form=True)["user_id"] == user.id

    def test_a_simple_user_has_the_recorded_keys(self, world: World) -> None:
        shown = v9_simple_user(world, world.owner)
        assert list(shown) == ["id", "fullname", "email", "is_active", "is_admin", "inactive"]

    def test_an_organization_s_group_has_the_recorded_keys(self, world: World) -> None:
        group = next(iter(world.groups.values()))
        shown = org_group(world, group)
        assert list(shown) == ["group_id", "name", "at", "workspaces", "users"]
        assert list(shown["users"][0]) == ["user_id", "name", "avatar_url", "joined"]
        assert v9_group(world, group)["has_users"] is True

    def test_me_holds_the_token_and_with_related_data_everything_else(self, world: World) -> None:
        shown = v9_me(world, world.owner)
        assert shown["api_token"] == world.owner.token
        assert "projects" not in shown
        full = v9_me(world, world.owner, with_related_data=True)
        related = ["clients", "projects", "tags", "tasks", "time_entries", "workspaces"]
        assert list(full)[len(shown) :] == related
        assert {entry["user_id"] for entry in full["time_entries"]} == {world.owner.id}
        assert all(entry["server_deleted_at"] is None for entry in full["time_entries"])

    def test_nothing_but_me_holds_a_user_s_token(self, world: World) -> None:
        written = json.dumps(
            [
                [v9_workspace(world), v9_organization(world)],
                [v9_workspace_user(world, user) for user in world.users.values()],
                [v9_simple_user(world, user) for user in world.users.values()],
            ]
        )
        assert not [user.token for user in world.users.values() if user.token in written]

    @pytest.mark.parametrize(
        ("plan", "premium", "business"),
        [("free", False, False), ("starter", True, False), ("premium", True, True), ("enterprise", True, True)],
    )
    def test_the_workspace_shows_the_plan(self, world: World, plan: Any, premium: bool, business: bool) -> None:
        world.settings.plan = plan
        shown = v9_workspace(world)
        assert (shown["premium"], shown["business_ws"]) == (premium, business)
        assert v9_organization(world)["pricing_plan_name"].lower() == plan
        assert v9_organization(world, single_read=True)["pricing_plan_name"] == ""


@pytest.mark.parametrize(("plan", "days", "shown"), [("free", 90, 90), ("free", None, 0), ("starter", 90, 0)])
def test_how_far_back_a_plan_reaches_is_shown_if_switched_on(world: World, plan: Any, days: Any, shown: int) -> None:
    world.settings.plan, world.settings.retention_days = plan, days
    for write in (v9_workspace, v9_organization):
        world.settings.retention_reported = False
        assert "max_data_retention_days" not in write(world)
        world.settings.retention_reported = True
        assert write(world)["max_data_retention_days"] == shown
