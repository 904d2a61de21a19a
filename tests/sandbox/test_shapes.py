"""How Toggl's things are written: keys, their order and their formats as recorded."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.rest_v9 import serialize, writes
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123450, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")

ENTRY_KEYS = [
    "id",
    "workspace_id",
    "project_id",
    "task_id",
    "billable",
    "start",
    "stop",
    "duration",
    "description",
    "tags",
    "tag_ids",
    "duronly",
    "at",
    "server_deleted_at",
    "user_id",
]
LEGACY_KEYS = ["uid", "wid"]


@pytest.fixture
def world() -> World:
    return build_world(entries=60, days=30, now=NOW, clock=lambda: NOW)


def create(world: World, **payload: Any) -> TimeEntry:
    body = {"created_with": "t", "start": "2026-03-19T08:00:00Z", **payload}
    return writes.create_entry(world, world.owner, body)


def project_with_client(world: World) -> int:
    return next(project.id for project in world.projects.values() if project.active and project.client_id)


class TestTimeEntriesOfV9:
    def test_a_read_has_the_recorded_keys_and_offsets(self, world: World) -> None:
        told = serialize.v9_entry(world, create(world, duration=3600))
        assert list(told) == ENTRY_KEYS + LEGACY_KEYS
        assert (told["start"], told["stop"]) == ("2026-03-19T08:00:00+00:00", "2026-03-19T09:00:00+00:00")
        assert (told["tags"], told["tag_ids"], told["duronly"]) == ([], [], True)
        assert told["server_deleted_at"] is None

    def test_at_is_in_microseconds_without_trailing_zeros(self, world: World) -> None:
        assert serialize.v9_entry(world, create(world))["at"] == "2026-03-20T15:30:00.12345Z"

    def test_the_older_form_of_at_is_a_switch_and_comes_with_permissions(self, world: World) -> None:
        world.settings.v9_at = "seconds"
        told = serialize.v9_entry(world, create(world))
        assert (told["at"], list(told)[-1], told["permissions"]) == ("2026-03-20T15:30:00+00:00", "permissions", None)

    def test_an_answer_to_a_write_ends_times_with_z(self, world: World) -> None:
        entry = create(world, duration=60)
        told = serialize.v9_entry(world, entry, fresh_write=True)
        assert (told["start"], told["stop"], told["tags"]) == ("2026-03-19T08:00:00Z", "2026-03-19T08:01:00Z", [])

    def test_an_answer_to_a_creation_has_null_for_no_tags(self, world: World) -> None:
        told = serialize.v9_entry(world, create(world), created=True)
        assert (told["tags"], told["tag_ids"], told["start"]) == (None, None, "2026-03-19T08:00:00Z")
        assert serialize.v9_entry(world, create(world, tags=["bug"]), created=True)["tags"] == ["bug"]

    def test_no_tags_can_be_null_in_reads(self, world: World) -> None:
        world.settings.no_tags = "null"
        assert serialize.v9_entry(world, create(world))["tags"] is None

    def test_pid_and_tid_are_there_only_with_a_project_and_a_task(self, world: World) -> None:
        project_id = project_with_client(world)
        assert list(serialize.v9_entry(world, create(world, project_id=project_id)))[-1] == "pid"
        task = next(task for task in world.tasks.values() if not task.deleted_at)
        assert list(serialize.v9_entry(world, create(world, task_id=task.id)))[-2:] == ["pid", "tid"]

    def test_a_single_read_lacks_the_legacy_keys(self, world: World) -> None:
        entry = create(world, project_id=project_with_client(world))
        assert list(serialize.v9_entry(world, entry, single_read=True)) == ENTRY_KEYS

    def test_meta_adds_names_in_the_recorded_order(self, world: World) -> None:
        told = serialize.v9_entry(world, create(world, project_id=project_with_client(world)), meta=True)
        assert list(told)[len(ENTRY_KEYS + LEGACY_KEYS) + 1 :] == [
            "client_name",
            "project_name",
            "project_color",
            "project_active",
            "project_billable",
            "user_name",
            "user_avatar_url",
        ]

    def test_a_running_one_has_minus_its_unix_start_or_minus_one(self, world: World) -> None:
        entry = create(world, duration=-1)
        told = serialize.v9_entry(world, entry)
        assert (told["stop"], told["duration"]) == (None, -1773907200)
        world.settings.running_duration = "minus_one"
        assert serialize.v9_entry(world, entry)["duration"] == -1

    def test_one_without_stop_that_does_not_run_has_duration_zero(self, world: World) -> None:
        told = serialize.v9_entry(world, create(world))
        assert (told["stop"], told["duration"]) == (None, 0)

    def test_a_deleted_one_is_marked_in_whole_seconds(self, world: World) -> None:
        entry = create(world)
        world.mark_deleted(entry)
        assert serialize.v9_entry(world, entry)["server_deleted_at"] == "2026-03-20T15:30:00+00:00"


class TestReportRows:
    def row(self, world: World, entry: TimeEntry, **options: Any) -> dict[str, Any]:
        return serialize.report_row(world, entry, BERLIN, row_number=1, **options)

    def test_a_row_has_the_recorded_keys(self, world: World) -> None:
        row = self.row(world, create(world, duration=3600, description="x"))
        assert list(row) == [
            "user_id",
            "username",
            "project_id",
            "task_id",
            "billable",
            "description",
            "tag_ids",
            "billable_amount_in_cents",
            "hourly_rate_in_cents",
            "currency",
            "time_entries",
            "row_number",
        ]
        assert list(row["time_entries"][0]) == ["id", "seconds", "start", "stop", "at"]
        assert row["username"] == world.owner.fullname

    def test_times_are_in_the_zone_of_who_asks_with_its_offset(self, world: World) -> None:
        winter = self.row(world, create(world, start="2026-03-28T23:30:00Z", duration=7200))["time_entries"][0]
        assert (winter["start"], winter["stop"]) == ("2026-03-29T00:30:00+01:00", "2026-03-29T03:30:00+02:00")
        assert winter["at"] == "2026-03-20T15:30:00+00:00"

    def test_times_can_be_in_utc(self, world: World) -> None:
        world.settings.report_times = "utc"
        assert self.row(world, create(world))["time_entries"][0]["start"] == "2026-03-19T08:00:00+00:00"

    def test_a_running_one_has_no_stop(self, world: World) -> None:
        entry = create(world, duration=-1)
        assert self.row(world, entry)["time_entries"][0]["stop"] is None
        assert self.row(world, entry)["time_entries"][0]["seconds"] == -1773907200
        world.settings.report_running_seconds = "elapsed"
        assert self.row(world, entry)["time_entries"][0]["seconds"] == 86400 + 7 * 3600 + 30 * 60

    @pytest.mark.parametrize(
        ("rounding", "minutes", "seconds"),
        [(1, 0, 451), (1, 5, 600), (-1, 5, 300), (0, 5, 600), (0, 15, 900), (0, 60, 0), (1, 60, 3600), (-1, 60, 0)],
    )
    def test_seconds_are_rounded_and_times_are_not(
        self, world: World, rounding: int, minutes: int, seconds: int
    ) -> None:
        row = self.row(world, create(world, duration=451), rounding=rounding, rounding_minutes=minutes)
        assert row["time_entries"][0]["seconds"] == seconds
        assert row["time_entries"][0]["stop"] == "2026-03-19T09:07:31+01:00"

    def test_rounding_zero_can_mean_none(self, world: World) -> None:
        world.settings.report_rounding_zero = "none"
        row = self.row(world, create(world, duration=451), rounding=0, rounding_minutes=5)
        assert row["time_entries"][0]["seconds"] == 451

    def test_money_needs_a_paid_plan_and_can_be_hidden(self, world: World) -> None:
        world.settings.plan = "starter"
        project = next(project for project in world.projects.values() if project.hourly_rate_cents and project.active)
        project.hourly_rate_cents = 9000
        entry = create(world, project_id=project.id, duration=1800, billable=True)
        row = self.row(world, entry)
        assert (row["billable_amount_in_cents"], row["hourly_rate_in_cents"], row["currency"]) == (4500, 9000, "USD")
        assert self.row(world, entry, hide_amounts=True)["billable_amount_in_cents"] is None
        world.settings.plan = "free"
        assert self.row(world, entry)["billable_amount_in_cents"] is None

    def test_enriching_adds_names(self, world: World) -> None:
        row = self.row(world, create(world, project_id=project_with_client(world), tags=["bug"]), enrich=True)
        assert row["tag_names"] == ["bug"]
        assert row["project_hex"].startswith("#")
        assert row["client_name"]
        assert row["email"] == world.owner.email

    def test_a_missing_description_is_null_or_empty(self, world: World) -> None:
        entry = create(world)
        assert self.row(world, entry)["description"] is None
        world.settings.report_no_description_is_empty = True
        assert self.row(world, entry)["description"] == ""

    def test_a_thousand_rows_are_quick(self) -> None:
        world = build_world(entries=1_000, now=NOW, clock=lambda: NOW)
        entries = list(world.time_entries.values())[:1_000]
        spent = []
        for _ in range(5):
            began = time.process_time()
            for number, entry in enumerate(entries):
                serialize.report_row(world, entry, BERLIN, row_number=number)
            spent.append(time.process_time() - began)
        assert min(spent) < 0.5, spent


class TestTheOthers:
    def test_a_project_has_the_recorded_keys_without_the_newer_ones(self, world: World) -> None:
        world.settings.newer_keys = False
        told = serialize.v9_project(world, world.projects[project_with_client(world)])
        assert list(told) == [
            "id",
            "workspace_id",
            "client_id",
            "name",
            "is_private",
            "active",
            "at",
            "created_at",
            "server_deleted_at",
            "color",
            "billable",
            "template",
            "auto_estimates",
            "estimated_hours",
            "estimated_seconds",
            "rate",
            "rate_last_updated",
            "currency",
            "recurring",
            "template_id",
            "recurring_parameters",
            "fixed_fee",
            "actual_hours",
            "actual_seconds",
            "start_date",
            "status",
            "wid",
            "cid",
            "permissions",
        ]
        assert told["billable"] is told["rate"] is told["currency"] is None

    def test_newer_keys_come_beside_the_recorded_ones(self, world: World) -> None:
        project = world.projects[project_with_client(world)]
        assert serialize.v9_project(world, project)["can_track_time"] is True
        assert "disable_approvals" in serialize.v9_workspace(world)
        world.settings.newer_keys = False
        assert "disable_approvals" not in serialize.v9_workspace(world)

    def test_a_project_tells_the_hours_of_its_live_entries(self, world: World) -> None:
        project = writes.create_project(world, world.owner, {"name": "Fresh", "active": True})
        assert serialize.v9_project(world, project)["actual_seconds"] is None
        create(world, project_id=project.id, duration=3700)
        gone = create(world, project_id=project.id, duration=10)
        world.mark_deleted(gone)
        told = serialize.v9_project(world, project)
        assert (told["actual_hours"], told["actual_seconds"]) == (1, 3700)

    def test_an_answer_to_a_project_s_creation_has_no_status(self, world: World) -> None:
        project = writes.create_project(world, world.owner, {"name": "Fresh"})
        assert "status" not in serialize.v9_project(world, project, created=True)
        assert serialize.v9_project(world, project, fresh_write=True)["status"] == "archived"

    def test_a_paid_plan_tells_rates_in_units(self, world: World) -> None:
        world.settings.plan = "premium"
        project = next(project for project in world.projects.values() if project.hourly_rate_cents)
        project.hourly_rate_cents = 6250
        told = serialize.v9_project(world, project)
        assert (told["rate"], told["billable"], told["currency"]) == (62.5, True, "USD")

    def test_deleted_ones_are_marked(self, world: World) -> None:
        def gone(things: dict[int, Any]) -> Any:
            return next(thing for thing in things.values() if thing.deleted_at)

        project = serialize.v9_project(world, gone(world.projects))
        assert (project["status"], project["server_deleted_at"] is None) == ("deleted", False)
        assert serialize.v9_client(world, gone(world.clients))["server_deleted_at"]
        assert serialize.v9_tag(world, gone(world.tags))["deleted_at"]
        assert serialize.v9_task(world, gone(world.tasks))["server_deleted_at"]
        world.settings.clients_report_deletion = False
        assert "server_deleted_at" not in serialize.v9_client(world, gone(world.clients))

    def test_a_task_tells_tracked_time_in_milliseconds(self, world: World) -> None:
        world.settings.plan = "premium"
        task = writes.create_task(world, world.owner, project_with_client(world), {"name": "Fresh"})
        create(world, task_id=task.id, duration=90)
        assert serialize.v9_task(world, task)["tracked_seconds"] == 90_000

    def test_a_workspace_user_has_its_own_id_beside_the_person_s(self, world: World) -> None:
        user = world.owner
        told = serialize.v9_workspace_user(world, user)
        assert (told["id"], told["uid"], told["wid"]) == (user.workspace_user_id, user.id, world.workspace.id)
        assert "user_id" not in told
        assert serialize.v9_workspace_user(world, user, organization_form=True)["user_id"] == user.id

    def test_a_simple_user_has_the_recorded_keys(self, world: World) -> None:
        told = serialize.v9_simple_user(world, world.owner)
        assert list(told) == ["id", "fullname", "email", "is_active", "is_admin", "inactive"]

    def test_an_organization_s_group_has_the_recorded_keys(self, world: World) -> None:
        group = next(iter(world.groups.values()))
        told = serialize.org_group(world, group)
        assert list(told) == ["group_id", "name", "at", "workspaces", "users"]
        assert list(told["users"][0]) == ["user_id", "name", "avatar_url", "joined"]
        assert serialize.v9_group(world, group)["has_users"] is True

    def test_me_holds_the_token_and_with_related_data_everything_else(self, world: World) -> None:
        told = serialize.v9_me(world, world.owner)
        assert told["api_token"] == world.owner.token
        assert "projects" not in told
        full = serialize.v9_me(world, world.owner, with_related_data=True)
        related = ["clients", "projects", "tags", "tasks", "time_entries", "workspaces"]
        assert list(full)[len(told) :] == related
        assert {entry["user_id"] for entry in full["time_entries"]} == {world.owner.id}
        assert all(entry["server_deleted_at"] is None for entry in full["time_entries"])

    def test_nothing_but_me_holds_a_user_s_token(self, world: World) -> None:
        written = json.dumps(
            [
                [serialize.v9_workspace(world), serialize.v9_organization(world)],
                [serialize.v9_workspace_user(world, user) for user in world.users.values()],
                [serialize.v9_simple_user(world, user) for user in world.users.values()],
            ]
        )
        assert not [user.token for user in world.users.values() if user.token in written]

    @pytest.mark.parametrize(
        ("plan", "premium", "business"),
        [("free", False, False), ("starter", True, False), ("premium", True, True), ("enterprise", True, True)],
    )
    def test_the_workspace_tells_the_plan(self, world: World, plan: Any, premium: bool, business: bool) -> None:
        world.settings.plan = plan
        told = serialize.v9_workspace(world)
        assert (told["premium"], told["business_ws"]) == (premium, business)
        assert serialize.v9_organization(world)["pricing_plan_name"].lower() == plan
        assert serialize.v9_organization(world, single_read=True)["pricing_plan_name"] == ""

    def test_all_of_it_is_json(self, world: World) -> None:
        json.dumps(serialize.v9_me(world, world.owner, with_related_data=True))


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "2026-01-01T00:00:00Z"), (100, "2026-01-01T00:00:00.0001Z"), (999999, "2026-01-01T00:00:00.999999Z")],
)
def test_microseconds_are_written_as_go_does(micros: int, text: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    assert serialize.micros_z(moment) == text


@pytest.mark.parametrize(("plan", "days", "told"), [("free", 90, 90), ("free", None, 0), ("starter", 90, 0)])
def test_how_far_back_a_plan_reaches_is_told_if_switched_on(world: World, plan: Any, days: Any, told: int) -> None:
    world.settings.plan, world.settings.retention_days = plan, days
    for write in (serialize.v9_workspace, serialize.v9_organization):
        world.settings.retention_reported = False
        assert "max_data_retention_days" not in write(world)
        world.settings.retention_reported = True
        assert write(world)["max_data_retention_days"] == told
