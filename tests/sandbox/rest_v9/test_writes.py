"""What REST writes do: checks, side effects, and what does not move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.rest_v9.writes.clients import (
    archive_client,
    create_client,
    delete_client,
    restore_client,
    update_client,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.entries import (
    bulk_patch_entries,
    create_entry,
    delete_entry,
    stop_entry,
    update_entry,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.projects import (
    bulk_patch_projects,
    create_project,
    create_project_user,
    delete_project,
    update_project,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.rest_v9.writes.tags import create_tag, delete_tag, update_tag
from airflow_provider_toggl.sandbox.rest_v9.writes.tasks import create_task, delete_task, update_task
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123456, tzinfo=timezone.utc)
LATER = NOW + timedelta(seconds=60)


@pytest.fixture
def world() -> World:
    """A small world on a paid plan, a minute after it was built, with nothing running."""
    built = build_world(entries=120, days=60, now=NOW, settings=Settings(plan="premium"), clock=lambda: NOW)
    for user in built.users.values():
        running = built.running_entry(user.id)
        if running:
            built.mark_deleted(running)
    built.advance(60)
    built.version = 0
    return built


def create(world: World, actor: User | None = None, **payload: Any) -> TimeEntry:
    body = {"created_with": "test", "workspace_id": world.workspace.id, "start": "2026-03-19T08:00:00Z", **payload}
    return create_entry(WriteRequest(world, actor or world.owner, body))


def by_owner(world: World, body: Any = None) -> WriteRequest:
    return WriteRequest(world, world.owner, {} if body is None else body)


def refusal(write: Callable[..., object], *arguments: Any, **fields: Any) -> tuple[int, str]:
    with pytest.raises(ErrorResponse) as caught:
        write(*arguments, **fields)
    return caught.value.status, caught.value.text


def member_of(world: World) -> User:
    return next(user for user in world.users.values() if not user.is_admin and not user.inactive)


def some_project(world: World, *, active: bool = True, private: bool = False) -> int:
    return next(
        project.id
        for project in world.projects.values()
        if project.active == active and project.is_private == private and not project.deleted_at
    )


class TestCreatingEntries:
    def test_a_duration_gives_the_stop(self, world: World) -> None:
        entry = create(world, duration=3600, description="x")
        assert entry.stop == datetime(2026, 3, 19, 9, tzinfo=timezone.utc)
        assert (entry.description, entry.at, entry.user_id) == ("x", LATER, world.owner.id)

    def test_a_stop_gives_the_duration(self, world: World) -> None:
        assert create(world, stop="2026-03-19T08:10:00+00:00").duration == 600

    def test_without_stop_and_duration_it_has_no_stop_and_does_not_run(self, world: World) -> None:
        entry = create(world)
        assert (entry.stop, entry.duration, entry.is_running) == (None, 0, False)

    def test_a_negative_duration_runs_from_its_start(self, world: World) -> None:
        entry = create(world, duration=-1)
        assert entry.duration == -int(entry.start.timestamp())
        assert world.running_entry(world.owner.id) is entry

    def test_parts_of_seconds_are_cut_and_offsets_are_read(self, world: World) -> None:
        entry = create(world, start="2026-03-19T21:17:59.593648+01:00")
        assert entry.start == datetime(2026, 3, 19, 20, 17, 59, tzinfo=timezone.utc)

    def test_a_start_date_overrides_the_date_of_start(self, world: World) -> None:
        entry = create(world, start_date="2026-01-31", duration=60)
        assert entry.start == datetime(2026, 1, 31, 8, tzinfo=timezone.utc)

    def test_starting_one_stops_the_one_that_runs(self, world: World) -> None:
        first = create(world, duration=-1)
        world.advance(5)
        second = create(world, duration=-1)
        assert first.stop == (LATER + timedelta(seconds=5)).replace(microsecond=0)
        assert first.duration == int((first.stop - first.start).total_seconds())
        assert first.at == second.at
        assert world.running_entry(world.owner.id) is second

    def test_starting_one_leaves_those_of_others_running(self, world: World) -> None:
        theirs = create(world, member_of(world), duration=-1)
        create(world, duration=-1)
        assert theirs.is_running

    def test_unknown_tag_names_are_created_and_known_ones_found(self, world: World) -> None:
        entry = create(world, tags=["bug", "brand new", "brand new"])
        assert [world.tags[tag_id].name for tag_id in entry.tag_ids] == ["bug", "brand new"]
        assert create(world, tags=["brand new"]).tag_ids == entry.tag_ids[1:]

    def test_legacy_names_are_understood(self, world: World) -> None:
        project_id = some_project(world)
        assert create(world, workspace_id=None, wid=world.workspace.id, pid=project_id).project_id == project_id

    def test_a_task_brings_its_project(self, world: World) -> None:
        task = next(task for task in world.tasks.values() if not task.deleted_at)
        assert create(world, task_id=task.id).project_id == task.project_id

    def test_an_admin_creates_for_others_and_nobody_else_does(self, world: World) -> None:
        member = member_of(world)
        assert create(world, user_id=member.id).user_id == member.id
        assert refusal(create, world, member, user_id=world.owner.id)[0] == 403

    def test_a_refused_one_leaves_nothing_behind(self, world: World) -> None:
        refusal(create, world, tags=["left over"], billable="yes")
        assert world.version == 0

    @pytest.mark.parametrize(
        ("payload", "text"),
        [
            ({"created_with": ""}, "created_with needs to be provided an a valid string"),
            ({"start": None}, "Start time is missing"),
            ({"start": "yesterday"}, "Invalid start time: yesterday"),
            ({"start": "2026-02-30T00:00:00Z"}, "Invalid start time: 2026-02-30T00:00:00Z"),
            ({"start": "9999-12-31T23:59:59Z"}, "Invalid start time: 9999-12-31T23:59:59Z"),
            ({"stop": "2026-03-19T07:59:59Z"}, "Stop time must be after start time"),
            ({"stop": "2026-03-19T08:10:00Z", "duration": 601}, "Start, stop and duration are not consistent"),
            ({"stop": "2026-03-19T08:10:00Z", "duration": -1}, "A running time entry cannot have a stop time"),
            ({"duration": 999 * 3600 + 1}, "Time entry duration can't exceed 999 hours"),
            ({"duration": "1h"}, "Invalid JSON input"),
            ({"duration": True}, "Invalid JSON input"),
            ({"description": 5}, "Invalid JSON input"),
            ({"tags": "bug"}, "Invalid JSON input"),
            ({"project_id": 5}, "User cannot access the selected project"),
            ({"task_id": 5}, "User cannot access selected task"),
            ({"user_id": 5}, "Invalid user_id"),
            ({"tag_ids": [5]}, "Tag with the ID 5 isn't present in workspace 7000001"),
        ],
        ids=str,
    )
    def test_an_invalid_entry_is_refused_with_400(self, world: World, payload: dict[str, Any], text: str) -> None:
        assert refusal(create, world, **payload) == (400, text)

    def test_any_text_is_kept_and_a_lone_surrogate_replaced(self, world: World) -> None:
        long = "ä😀" * 50_000
        assert create(world, description=long).description == long
        assert create(world, description="a\ud800b").description == "a\ufffdb"
        named = create(world, tags=["t\udc00"]).tag_ids
        assert world.tags[named[0]].name == "t\ufffd"

    def test_a_start_date_that_is_none_is_refused(self, world: World) -> None:
        for day in ("20260131", "2026-W01-1", "2026-02-30"):
            assert refusal(create, world, start_date=day) == (400, f"Invalid start_date: {day}")

    def test_another_workspace_is_refused(self, world: World) -> None:
        assert refusal(create, world, workspace_id=1)[0] == 403

    def test_an_archived_project_takes_no_entries(self, world: World) -> None:
        archived = some_project(world, active=False)
        assert refusal(create, world, project_id=archived)[0] == 400

    def test_a_private_project_takes_entries_of_its_members_only(self, world: World) -> None:
        private, member = some_project(world, private=True), member_of(world)
        for membership in world.project_users.values():
            if membership.user_id == member.id:
                membership.deleted_at = NOW
        assert refusal(create, world, member, project_id=private)[0] == 400
        create_project_user(by_owner(world, {"project_id": private, "user_id": member.id}))
        assert create(world, member, project_id=private).project_id == private

    def test_billable_needs_a_paid_plan(self, world: World) -> None:
        assert create(world, billable=True).billable
        world.settings.plan = "free"
        assert refusal(create, world, billable=True) == (402, "Billable is a premium feature")

    def test_created_with_can_be_switched_off(self, world: World) -> None:
        world.settings.created_with_needed = False
        assert create(world, created_with=None).created_with == ""


class TestUpdatingEntries:
    def test_only_what_is_sent_changes_and_at_moves(self, world: World) -> None:
        entry = create(world, duration=3600, description="a", tags=["bug"])
        world.advance(1)
        update_entry(by_owner(world, {"description": None}), entry.id)
        assert (entry.description, entry.duration, len(entry.tag_ids)) == (None, 3600, 1)
        assert entry.at == LATER + timedelta(seconds=1)

    def test_a_new_start_keeps_the_stop(self, world: World) -> None:
        entry = create(world, duration=3600)
        update_entry(by_owner(world, {"start": "2026-03-19T08:30:00Z"}), entry.id)
        assert (entry.stop, entry.duration) == (datetime(2026, 3, 19, 9, tzinfo=timezone.utc), 1800)

    def test_a_new_start_of_a_running_one_keeps_it_running(self, world: World) -> None:
        entry = create(world, duration=-1)
        update_entry(by_owner(world, {"start": "2026-03-19T08:30:00Z"}), entry.id)
        assert entry.duration == -int(entry.start.timestamp())

    def test_a_new_duration_moves_the_stop(self, world: World) -> None:
        entry = create(world, duration=3600)
        update_entry(by_owner(world, {"duration": 60}), entry.id)
        assert entry.stop == entry.start + timedelta(seconds=60)

    def test_a_stopped_one_can_be_set_running_which_stops_the_other(self, world: World) -> None:
        entry, running = create(world, duration=3600), create(world, duration=-1)
        update_entry(by_owner(world, {"duration": -1}), entry.id)
        assert entry.is_running
        assert not running.is_running

    def test_tags_are_replaced_or_added_or_taken_away(self, world: World) -> None:
        entry = create(world, tags=["bug", "review"])

        def names(**payload: Any) -> list[str]:
            update_entry(by_owner(world, payload), entry.id)
            return [world.tags[tag_id].name for tag_id in entry.tag_ids]

        assert names(tags=["travel"], tag_action="add") == ["bug", "review", "travel"]
        assert names(tags=["review", "unknown"], tag_action="delete") == ["bug", "travel"]
        assert names(tags=["meeting"]) == ["meeting"]
        assert names(tag_ids=None) == []
        assert world.tag_by_name("unknown") is None

    def test_another_project_drops_the_task(self, world: World) -> None:
        task = next(task for task in world.tasks.values() if not task.deleted_at)
        entry = create(world, task_id=task.id)
        other = next(
            project.id
            for project in world.projects.values()
            if project.active and not project.deleted_at and project.id != task.project_id
        )
        update_entry(by_owner(world, {"project_id": other}), entry.id)
        assert (entry.project_id, entry.task_id) == (other, None)

    def test_one_of_an_archived_project_can_still_be_edited(self, world: World) -> None:
        project_id = some_project(world)
        entry = create(world, project_id=project_id)
        update_project(by_owner(world, {"active": False}), project_id)
        update_entry(by_owner(world, {"project_id": project_id, "description": "x"}), entry.id)
        assert (entry.project_id, entry.description) == (project_id, "x")

    def test_members_edit_their_own_only_and_admins_everybodys(self, world: World) -> None:
        member = member_of(world)
        entry = create(world)
        text = "User does not have access to this resource."
        assert refusal(update_entry, WriteRequest(world, member, {}), entry.id) == (403, text)
        theirs = create(world, member)
        update_entry(by_owner(world, {"description": "seen"}), theirs.id)
        assert theirs.description == "seen"

    def test_a_deleted_or_unknown_one_is_not_found(self, world: World) -> None:
        entry = create(world)
        delete_entry(by_owner(world), entry.id)
        for entry_id in (entry.id, 1):
            for write in (delete_entry, stop_entry):
                assert refusal(write, by_owner(world), entry_id) == (404, "Time entry not found")


class TestStoppingAndDeletingEntries:
    def test_stopping_sets_stop_and_duration(self, world: World) -> None:
        entry = create(world, start="2026-03-20T15:30:00Z", duration=-1)
        stop_entry(by_owner(world), entry.id)
        assert (entry.duration, entry.stop) == (60, LATER.replace(microsecond=0))

    def test_one_that_has_a_stop_is_refused(self, world: World) -> None:
        entry = create(world, duration=1)
        answer = refusal(stop_entry, by_owner(world), entry.id)
        assert answer == (409, "Time entry already stopped")

    def test_one_that_started_in_the_future_stops_at_its_start(self, world: World) -> None:
        entry = create(world, start="2026-03-20T18:00:00Z", duration=-1)
        stop_entry(by_owner(world), entry.id)
        assert (entry.stop, entry.duration) == (entry.start, 0)

    def test_deleting_marks_and_moves_at(self, world: World) -> None:
        entry = create(world)
        world.advance(1)
        delete_entry(by_owner(world), entry.id)
        assert entry.deleted_at == entry.at == LATER + timedelta(seconds=1)


class TestBulkPatches:
    def test_each_entry_succeeds_or_fails_on_its_own(self, world: World) -> None:
        entry = create(world)
        ops = [{"op": "replace", "path": "/description", "value": "bulk"}]
        answer = bulk_patch_entries(by_owner(world, ops), [entry.id, 5])
        assert answer == {"success": [entry.id], "failure": [{"id": 5, "message": "Time entry not found"}]}
        assert entry.description == "bulk"

    def test_tags_are_added_removed_and_replaced(self, world: World) -> None:
        entry = create(world, tags=["bug"])
        for op, value, expected in (
            ("add", ["travel"], ["bug", "travel"]),
            ("remove", ["bug"], ["travel"]),
            ("replace", ["review"], ["review"]),
        ):
            bulk_patch_entries(by_owner(world, [{"op": op, "path": "/tags", "value": value}]), [entry.id])
            assert [world.tags[tag_id].name for tag_id in entry.tag_ids] == expected

    @pytest.mark.parametrize("path", ["/tags", "/tag_ids"])
    def test_tags_are_all_removed_without_a_value(self, world: World, path: str) -> None:
        entry = create(world, tags=["bug", "travel"])
        bulk_patch_entries(by_owner(world, [{"op": "remove", "path": path}]), [entry.id])
        assert entry.tag_ids == []

    def test_removing_a_field_empties_it(self, world: World) -> None:
        entry = create(world, project_id=some_project(world), billable=True)
        ops = [{"op": "remove", "path": "/pid"}, {"op": "remove", "path": "/billable"}]
        bulk_patch_entries(by_owner(world, ops), [entry.id])
        assert (entry.project_id, entry.billable) == (None, False)

    @pytest.mark.parametrize(
        ("ids", "ops", "text"),
        [
            ([], [], "PATCH expects at least one ID"),
            (list(range(101)), [], "PATCH request is limited to 100 entries at once"),
            ([1], [], "No patchable fields defined"),
            ([1], {}, "Invalid JSON input"),
            ([1], ["x"], "Invalid JSON input"),
            ([1], [{"op": "move", "path": "/description"}], "Invalid op: move"),
            ([1], [{"op": "add", "path": "description"}], "Invalid path format: description"),
            ([1], [{"op": "add", "path": "/id", "value": 3}], "Path not found: /id"),
            ([1], [{"op": "remove", "path": "/start"}], "Operation not supported (remove /start)"),
        ],
        ids=["no ids", "too many", "no operations", "no list", "no object", "op", "path", "field", "start"],
    )
    def test_malformed_ones_are_refused_whole(self, world: World, ids: list[int], ops: Any, text: str) -> None:
        assert refusal(bulk_patch_entries, by_owner(world, ops), ids) == (400, text)
        assert world.version == 0

    @pytest.mark.parametrize("name", ["start", "stop", "duration", "user_id"])
    def test_a_field_of_an_entry_that_always_has_a_value_cannot_be_emptied(self, world: World, name: str) -> None:
        ops = [{"op": "replace", "path": f"/{name}", "value": None}]
        answer = refusal(bulk_patch_entries, by_owner(world, ops), [create(world).id])
        assert answer == (400, f"Operation not supported (replace /{name})")

    @pytest.mark.parametrize("name", ["active", "is_private", "billable", "color", "start_date"])
    @pytest.mark.parametrize("verb", ["remove", "replace"])
    def test_a_field_of_a_project_that_always_has_a_value_cannot_be_emptied(
        self, world: World, verb: str, name: str
    ) -> None:
        project_id = some_project(world)
        ops = [{"op": "replace", "path": "/rate", "value": 5}, {"op": verb, "path": f"/{name}"}]
        answer = refusal(bulk_patch_projects, by_owner(world, ops), [project_id])
        assert answer == (400, f"Operation not supported ({verb} /{name})")
        assert world.version == 0

    def test_removing_a_field_of_a_project_empties_it(self, world: World) -> None:
        project_id = some_project(world)
        project = world.projects[project_id]
        update_project(by_owner(world, {"client_name": "New", "rate": 5}), project_id)
        assert (project.client_id is None, project.hourly_rate_cents) == (False, 500)
        ops = [{"op": "remove", "path": "/client_id"}, {"op": "remove", "path": "/rate"}]
        bulk_patch_projects(by_owner(world, ops), [project_id])
        assert (project.client_id, project.hourly_rate_cents) == (None, None)

    def test_projects_take_a_colour_of_ones_own_on_every_plan_as_recorded(self, world: World) -> None:
        world.settings.plan = "free"
        project_id = some_project(world)
        ops = [{"op": "replace", "path": "/color", "value": "#000000"}]
        answer = bulk_patch_projects(by_owner(world, ops), [project_id, 5])
        assert answer["success"] == [project_id]
        assert [failure["id"] for failure in answer["failure"]] == [5]
        assert world.projects[project_id].color == "#000000"


class TestProjects:
    def test_one_made_by_name_alone_is_private_and_inactive_as_recorded(self, world: World) -> None:
        project = create_project(by_owner(world, {"name": "New"}))
        assert (project.is_private, project.active, project.client_id) == (True, False, None)
        assert any(
            (member.project_id, member.user_id, member.manager) == (project.id, world.owner.id, True)
            for member in world.project_users.values()
        )

    def test_fields_are_kept(self, world: World) -> None:
        client_id = next(iter(world.clients))
        payload = {"name": "New", "active": True, "is_private": False, "cid": client_id, "rate": 12.5, "billable": True}
        project = create_project(by_owner(world, {**payload, "start_date": "2026-01-02", "color": "#123abc"}))
        assert (project.client_id, project.hourly_rate_cents, project.color) == (client_id, 1250, "#123abc")
        assert project.start_date.isoformat() == "2026-01-02"

    def test_the_estimate_is_in_hours_and_can_be_removed(self, world: World) -> None:
        project = create_project(by_owner(world, {"name": "New", "estimated_hours": 3}))
        assert project.estimated_seconds == 3 * 3600
        assert update_project(by_owner(world, {"estimated_hours": None}), project.id).estimated_seconds is None
        assert refusal(update_project, by_owner(world, {"estimated_hours": "much"}), project.id)[0] == 400

    def test_a_client_named_is_found_or_created(self, world: World) -> None:
        first = create_project(by_owner(world, {"name": "A", "client_name": "Fresh"}))
        second = create_project(by_owner(world, {"name": "B", "client_name": "Fresh"}))
        assert first.client_id == second.client_id is not None

    @pytest.mark.parametrize(
        ("payload", "status", "text"),
        [
            ({}, 400, "Project name must be present"),
            ({"name": " "}, 400, "Project name must be present"),
            ({"name": "Website"}, 400, "Name has already been taken"),
            ({"name": "N", "client_id": 5}, 400, "Client with the ID 5 isn't present in workspace 7000001"),
            (
                {"name": "N", "color": "#FFFFFF"},
                400,
                "Error in validating color '#FFFFFF'. Project color must be a hex value in the form of #[0-9a-f]{6}.",
            ),
            ({"name": "N", "rate": "much"}, 400, "Invalid JSON input"),
            ({"name": "N", "rate": float("nan")}, 400, "Invalid JSON input"),
            ({"name": "N", "rate": -1}, 400, "Invalid JSON input"),
        ],
        ids=["no name", "blank", "taken", "client", "color", "rate", "no number", "negative"],
    )
    def test_an_invalid_project_is_refused(self, world: World, payload: dict[str, Any], status: int, text: str) -> None:
        assert world.projects[min(world.projects)].name == "Website"
        assert world.projects[min(world.projects)].client_id is None
        assert refusal(create_project, by_owner(world, payload)) == (status, text)

    def test_a_free_plan_lacks_colours_of_ones_own_and_rates(self, world: World) -> None:
        world.settings.plan = "free"
        project_id = some_project(world)
        answer = refusal(update_project, by_owner(world, {"color": "#FFFFFF"}), project_id)
        assert answer == (402, "Custom project colors available only for premium plans")
        assert refusal(update_project, by_owner(world, {"rate": 5}), project_id)[0] == 402
        update_project(by_owner(world, {"color": "#d94182", "name": "Renamed"}), project_id)
        assert (world.projects[project_id].color, world.projects[project_id].name) == ("#d94182", "Renamed")

    @pytest.mark.parametrize("mode", [None, "unassign"])
    def test_deleting_leaves_entries_without_project_and_moves_them(self, world: World, mode: str | None) -> None:
        task = next(task for task in world.tasks.values() if not task.deleted_at)
        entry = create(world, task_id=task.id)
        world.advance(1)
        assert delete_project(by_owner(world), task.project_id, mode) == task.project_id
        assert (entry.project_id, entry.task_id, entry.deleted_at) == (None, None, None)
        assert entry.at == LATER + timedelta(seconds=1)
        assert world.projects[task.project_id].deleted_at
        assert task.deleted_at

    def test_deleting_with_its_entries_deletes_them(self, world: World) -> None:
        project_id = some_project(world)
        entry = create(world, project_id=project_id)
        delete_project(by_owner(world), project_id, "delete")
        assert entry.deleted_at

    def test_deleting_in_another_mode_is_refused(self, world: World) -> None:
        project_id = some_project(world)
        assert refusal(delete_project, by_owner(world), project_id, "burn")[0] == 400

    def test_a_member_is_added_once(self, world: World) -> None:
        payload = {"project_id": some_project(world), "user_id": member_of(world).id, "manager": True, "rate": 10}
        member = create_project_user(by_owner(world, payload))
        assert (member.manager, member.rate_cents) == (True, 1000)
        again = refusal(create_project_user, by_owner(world, payload))
        assert again == (400, "Project user already exists")


class TestClients:
    def test_one_is_created_renamed_and_deleted(self, world: World) -> None:
        client = create_client(by_owner(world, {"name": " New ", "notes": "n"}))
        assert (client.name, client.notes, client.creator_id) == ("New", "n", world.owner.id)
        update_client(by_owner(world, {"name": "Newer"}), client.id)
        assert client.name == "Newer"
        assert delete_client(by_owner(world), client.id) == client.id
        answer = refusal(update_client, by_owner(world, {}), client.id)
        assert answer == (404, f"No client with ID {client.id} was found")

    def test_its_deletion_leaves_its_projects_without_one(self, world: World) -> None:
        client = create_client(by_owner(world, {"name": "New"}))
        project = create_project(by_owner(world, {"name": "P", "client_id": client.id}))
        delete_client(by_owner(world), client.id)
        assert (project.client_id, project.deleted_at) == (None, None)

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("", "Client name cannot be empty"),
            ("x" * 256, "Client name maximum length is 255"),
            ("Nordwind", "Name has already been taken"),
        ],
        ids=["empty", "long", "taken"],
    )
    def test_a_wrong_name_is_refused(self, world: World, name: str, text: str) -> None:
        assert refusal(create_client, by_owner(world, {"name": name})) == (400, text)

    def test_archiving_takes_its_projects_along_and_restoring_brings_them_back(self, world: World) -> None:
        client = create_client(by_owner(world, {"name": "New"}))
        project = create_project(by_owner(world, {"name": "P", "client_id": client.id, "active": True}))
        assert archive_client(by_owner(world), client.id) == [project.id]
        assert (client.archived, project.active) == (True, False)
        restore_client(by_owner(world, {"projects": [project.id]}), client.id)
        assert (client.archived, project.active) == (False, True)

    def test_archiving_needs_a_paid_plan(self, world: World) -> None:
        world.settings.plan = "free"
        client_id = next(iter(world.clients))
        assert refusal(archive_client, by_owner(world), client_id)[0] == 402


class TestTags:
    def test_one_is_created_and_renamed(self, world: World) -> None:
        tag = create_tag(by_owner(world, {"name": "new"}))
        update_tag(by_owner(world, {"name": "newer"}), tag.id)
        assert tag.name == "newer"

    def test_a_blank_or_taken_name_is_refused(self, world: World) -> None:
        blank = refusal(create_tag, by_owner(world, {"name": " "}))
        assert blank == (400, "tag name can't be blank")
        taken = refusal(create_tag, by_owner(world, {"name": "bug"}))
        assert taken == (400, "a tag with the name 'bug' already exists")

    def test_its_deletion_takes_it_from_entries_and_does_not_move_them(self, world: World) -> None:
        entry = create(world, tags=["bug", "review"])
        tag = world.tag_by_name("bug")
        assert tag is not None
        world.advance(1)
        assert entry.id in delete_tag(by_owner(world), tag.id)
        assert [world.tags[tag_id].name for tag_id in entry.tag_ids] == ["review"]
        assert entry.at == LATER
        assert tag.deleted_at == LATER + timedelta(seconds=1)
        assert refusal(delete_tag, by_owner(world), tag.id) == (404, "Tag was not found")

    def test_a_deleted_name_is_free_again(self, world: World) -> None:
        tag = world.tag_by_name("bug")
        assert tag is not None
        delete_tag(by_owner(world), tag.id)
        assert create_tag(by_owner(world, {"name": "bug"})).id != tag.id


class TestTasks:
    def test_one_is_created_changed_and_deleted(self, world: World) -> None:
        project_id = some_project(world)
        payload = {"name": "New", "user_id": world.owner.id, "estimated_seconds": 60}
        task = create_task(by_owner(world, payload), project_id)
        entry = create(world, task_id=task.id)
        update_task(by_owner(world, {"active": False, "name": "Newer"}), task.id)
        assert (task.active, task.name, task.estimated_seconds) == (False, "Newer", 60)
        world.advance(1)
        assert delete_task(by_owner(world), task.id) == [entry.id]
        assert (entry.task_id, entry.project_id) == (None, project_id)
        assert entry.at == LATER + timedelta(seconds=1)

    def test_creating_one_needs_a_paid_plan(self, world: World) -> None:
        world.settings.plan = "free"
        project_id = some_project(world)
        answer = refusal(create_task, by_owner(world, {"name": "New"}), project_id)
        assert answer == (402, "Tasks are a premium feature")
        world.settings.tasks_need_paid_plan = False
        assert create_task(by_owner(world, {"name": "New"}), project_id).name == "New"

    def test_one_of_an_archived_project_is_refused(self, world: World) -> None:
        archived = some_project(world, active=False)
        answer = refusal(create_task, by_owner(world, {"name": "New"}), archived)
        assert answer == (400, "Project not found/accessible, Can not change tasks of archived project")


@pytest.mark.parametrize("moves", [True, False])
@pytest.mark.parametrize("kind", ["project", "client", "tag", "task"])
def test_a_deletion_moves_at_of_what_it_was_removed_from_by_the_setting(world: World, kind: str, moves: bool) -> None:
    world.settings.update({f"{kind}_deletion_moves_at": moves})
    task = create_task(by_owner(world, {"name": "New"}), some_project(world))
    entry = create(world, task_id=task.id, tags=["bug"])
    client = create_client(by_owner(world, {"name": "New"}))
    project = create_project(by_owner(world, {"name": "P", "client_id": client.id}))
    deletions: dict[str, tuple[Callable[..., object], int, TimeEntry | Project]] = {
        "project": (delete_project, task.project_id, entry),
        "client": (delete_client, client.id, project),
        "tag": (delete_tag, entry.tag_ids[0], entry),
        "task": (delete_task, task.id, entry),
    }
    delete, id_, changed = deletions[kind]
    world.advance(1)
    delete(by_owner(world), id_)
    assert changed.at == (LATER + timedelta(seconds=1) if moves else LATER)
