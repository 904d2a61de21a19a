from __future__ import annotations

import json
from typing import Any

import pytest
from support.deliveries import STARTED_ENTRY
from support.sandboxes import NOON, build_still_world

from airflow_provider_toggl.sandbox.webhooks.payloads import (
    build_metadata,
    build_payload,
    entity_id_of,
    gives_event,
    snapshot,
)
from airflow_provider_toggl.sandbox.workspace.records import Group, TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import Action, World, WorldChange


@pytest.fixture
def world() -> World:
    return build_still_world(entries=40)


def running_entry(world: World) -> TimeEntry:
    """An entry without tags and project, just started, as the captured one."""
    start = NOON.replace(microsecond=0)
    entry = TimeEntry(
        3050537739, world.workspace.id, world.owner.id, start, None, -int(start.timestamp()), NOON, "test"
    )
    world.load(entry)
    return entry


def change_of(world: World, obj: Any, action: Action = "updated", **request: Any) -> WorldChange:
    kinds = {"TimeEntry": "time_entry", "ProjectUser": "project_user"}
    kind = kinds.get(type(obj).__name__, type(obj).__name__.lower())
    return WorldChange(kind, action, obj, world.owner, request or None, world.now())


def live(things: dict[int, Any]) -> Any:
    return next(one for one in things.values() if one.deleted_at is None)


def test_a_started_entry_has_the_captured_keys_in_their_order(world: World) -> None:
    captured = json.loads(STARTED_ENTRY)
    path = f"/api/v9/workspaces/{world.workspace.id}/time_entries"
    change = change_of(world, running_entry(world), "created", method="POST", path=path, text='{"a": 1}')
    metadata, payload = build_metadata(world, change), build_payload(world, change)
    assert list(metadata) == list(captured["metadata"])
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["request_body"] == '{"a": 1}'
    owner, workspace = world.owner.id, world.workspace.id
    known = {
        "user_id": owner,
        "uid": owner,
        "wid": workspace,
        "workspace_id": workspace,
        "at": "2026-03-10T12:00:00+00:00",
        "start": "2026-03-10T12:00:00Z",
        "duration": -1773144000,
    }
    assert payload == {**captured["payload"], **known}
    assert list(payload) == list(captured["payload"])


def test_an_entry_of_a_project_says_so_and_whether_that_is_private(world: World) -> None:
    entry = next(one for one in world.time_entries.values() if one.project_id)
    project = world.projects[entry.project_id or 0]
    for private, shown in ((True, "true"), (False, "false")):
        project.is_private = private
        metadata = build_metadata(world, change_of(world, entry))
        assert (metadata["project_id"], metadata["project_is_private"]) == (str(project.id), shown)
    assert list(metadata) == sorted(metadata)
    assert build_payload(world, change_of(world, entry))["pid"] == project.id  # type: ignore[index]


@pytest.mark.parametrize(
    ("switch", "keys"),
    [("named", {"time_entry_id"}), ("entity_id", {"entity_id"}), ("both", {"time_entry_id", "entity_id"})],
)
def test_the_id_stands_where_the_switch_says(world: World, switch: str, keys: set[str]) -> None:
    world.settings.update({"webhook_id_key": switch})
    metadata = build_metadata(world, change_of(world, running_entry(world)))
    assert {name for name in metadata if metadata[name] == "3050537739"} == keys


def test_the_payload_of_a_deletion_is_all_or_ids_or_null(world: World) -> None:
    change = change_of(world, running_entry(world), "deleted")
    whole = build_payload(world, change)
    assert whole is not None
    assert whole["description"] == "test"
    world.settings.update({"webhook_deleted_payload": "ids"})
    assert build_payload(world, change) == {"id": 3050537739, "uid": world.owner.id, "wid": world.workspace.id}
    assert build_payload(world, change_of(world, live(world.tags), "deleted")).keys() == {"id", "wid"}  # type: ignore[union-attr]
    assert build_payload(world, change_of(world, live(world.tags), "updated"))["name"]  # type: ignore[index]
    world.settings.update({"webhook_deleted_payload": "null"})
    assert build_payload(world, change) is None
    assert snapshot(world, change)[1] == "null"


def test_legacy_keys_can_be_left_out(world: World) -> None:
    world.settings.update({"webhook_keys": "newer"})
    for things in (world.time_entries, world.projects, world.clients, world.project_users):
        shown = build_payload(world, change_of(world, live(things)))
        assert shown is not None
        assert not {"wid", "uid", "pid", "cid", "tid", "gid"} & set(shown)
        assert shown["workspace_id"] == world.workspace.id


@pytest.mark.parametrize(("switch", "shown"), [("captured", ([], None)), ("empty", ([], [])), ("null", (None, None))])
def test_missing_tags_are_as_the_setting_says(world: World, switch: str, shown: tuple[Any, Any]) -> None:
    world.settings.update({"webhook_no_tags": switch})
    entry = running_entry(world)
    payload = build_payload(world, change_of(world, entry)) or {}
    assert (payload["tags"], payload["tag_ids"]) == shown
    tag = live(world.tags)
    entry.tag_ids = [tag.id]
    payload = build_payload(world, change_of(world, entry)) or {}
    assert (payload["tags"], payload["tag_ids"]) == ([tag.name], [tag.id])


def test_every_kind_of_record_has_a_payload_and_a_path_with_its_id(world: World) -> None:
    base = f"/api/v9/workspaces/{world.workspace.id}"
    task = live(world.tasks)
    paths = {
        "time_entries": "time_entries",
        "projects": "projects",
        "clients": "clients",
        "tags": "tags",
        "tasks": f"projects/{task.project_id}/tasks",
        "project_users": "project_users",
        "users": "workspace_users",
    }
    for table, path in paths.items():
        obj = task if table == "tasks" else live(getattr(world, table))
        change = change_of(world, obj)
        payload = build_payload(world, change)
        assert payload is not None
        assert payload["id"] == entity_id_of(change)
        assert list(payload) == sorted(payload)
        assert build_metadata(world, change)["path"] == f"{base}/{path}/{entity_id_of(change)}"
        assert build_metadata(world, change_of(world, obj, "created"))["path"] == f"{base}/{path}"


def test_a_user_has_the_id_of_the_membership_and_no_token(world: World) -> None:
    metadata, payload = snapshot(world, change_of(world, world.owner))
    assert json.loads(payload)["id"] == world.owner.workspace_user_id
    assert json.loads(metadata)["workspace_user_id"] == str(world.owner.workspace_user_id)
    assert world.owner.token not in payload


def test_groups_give_no_events(world: World) -> None:
    group = Group(5, world.workspace.id, "People", NOON)
    assert not gives_event(world.settings, change_of(world, group, "created"))


@pytest.mark.parametrize(
    ("request_line", "action", "needs"),
    [
        ("POST time_entries", "created", ""),
        ("PUT time_entries/3050537739", "updated", ""),
        ("PATCH time_entries/3050537739/stop", "updated", ""),
        ("DELETE time_entries/3050537739", "deleted", ""),
        ("PATCH time_entries/7,3050537739", "updated", "webhook_bulk_events"),
        ("PATCH time_entries/3050537739", "updated", "webhook_bulk_events"),
        ("POST time_entries", "updated", "webhook_side_effect_events"),
        ("DELETE projects/7", "deleted", "webhook_side_effect_events"),
        ("POST projects", "created", "webhook_side_effect_events"),
    ],
)
def test_bulk_edits_and_side_effects_give_events_unless_switched_off(
    world: World, request_line: str, action: Action, needs: str
) -> None:
    method, end = request_line.split()
    path = f"/api/v9/workspaces/{world.workspace.id}/{end}"
    change = change_of(world, running_entry(world), action, method=method, path=path)
    assert gives_event(world.settings, change)
    for switch in ("webhook_bulk_events", "webhook_side_effect_events"):
        world.settings.update({switch: False})
        assert gives_event(world.settings, change) is (switch != needs)
        world.settings.update({switch: True})
