"""What REST writes do to tags."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.rest_v9.writes.request import Payload, Request, text_of
from airflow_provider_toggl.sandbox.workspace.records import Tag, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World


def create_tag(world: World, actor: User, payload: Payload, *, request: Request | None = None) -> Tag:
    """Create a tag.

    :raises Refused: 400 when its name is blank or taken.
    """
    name = _free_name(world, payload, None)
    return _store(world, actor, name, request)


def update_tag(world: World, actor: User, tag_id: int, payload: Payload, *, request: Request | None = None) -> Tag:
    """Rename a tag; entries that have it do not move.

    :raises Refused: 400 when the name is blank or taken, 404 when there is no such tag.
    """
    tag = _get(world, tag_id)
    return world.change(tag, {"name": _free_name(world, payload, tag)}, actor, request)


def delete_tag(world: World, actor: User, tag_id: int, *, request: Request | None = None) -> list[int]:
    """Delete a tag and take it from its entries, whose ``at`` does not move unless that is switched on.

    :returns: the ids of the entries that had it.
    :raises Refused: 404 when there is no such tag.
    """
    tag = _get(world, tag_id)
    had = [entry for entry in world.time_entries.values() if tag_id in entry.tag_ids and entry.deleted_at is None]
    for entry in had:
        left = [other for other in entry.tag_ids if other != tag_id]
        world.change(entry, {"tag_ids": left}, actor, request, moves_at=world.settings.tag_deletion_moves_at)
    world.mark_deleted(tag, actor, request)
    return [entry.id for entry in had]


def find_or_create_tag(world: World, actor: User, name: str, *, request: Request | None = None) -> Tag:
    """Return the tag of that name, created if there is none: what naming an unknown tag in a time entry does."""
    return world.tag_by_name(name) or _store(world, actor, name, request)


def _store(world: World, actor: User, name: str, request: Request | None) -> Tag:
    tag = Tag(world.next_id("tag"), world.workspace.id, name, world.now(), actor.id)
    return world.store(tag, actor, request)


def _free_name(world: World, payload: Payload, tag: Tag | None) -> str:
    name = (text_of(payload, "name") or "").strip()
    if not name:
        raise ErrorResponse(400, "tag name can't be blank")
    other = world.tag_by_name(name)
    if other is not None and other is not tag:
        raise ErrorResponse(400, f"a tag with the name '{name}' already exists")
    return name


def _get(world: World, tag_id: int) -> Tag:
    tag = world.tags.get(tag_id)
    if tag is None or tag.deleted_at is not None:
        raise ErrorResponse(404, "Tag was not found")
    return tag
