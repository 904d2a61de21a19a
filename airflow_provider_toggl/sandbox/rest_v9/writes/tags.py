"""Writes of tags."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import Tag
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, get_live, live


def create_tag(write: WriteRequest) -> Tag:
    """Create a tag.

    :raises ErrorResponse: 400 if its name is blank or taken.
    """
    return _store(write, _free_name(write, None))


def update_tag(write: WriteRequest, tag_id: int) -> Tag:
    """Rename a tag; the ``at`` of its time entries does not change.

    :raises ErrorResponse: 400 if the name is blank or taken, 404 if there is no such tag.
    """
    tag = get_live(write.world.tags, tag_id, 404, "Tag was not found")
    return write.change(tag, {"name": _free_name(write, tag)})


def delete_tag(write: WriteRequest, tag_id: int) -> list[int]:
    """Delete a tag and remove it from its time entries; their ``at`` changes only by ``tag_deletion_moves_at``.

    :returns: the ids of the time entries that had the tag.
    :raises ErrorResponse: 404 if there is no such tag.
    """
    world = write.world
    tag = get_live(world.tags, tag_id, 404, "Tag was not found")
    tagged = [entry for entry in live(world.time_entries.values()) if tag_id in entry.tag_ids]
    for entry in tagged:
        left = [other for other in entry.tag_ids if other != tag_id]
        write.change(entry, {"tag_ids": left}, moves_at=world.settings.tag_deletion_moves_at)
    write.delete(tag)
    return [entry.id for entry in tagged]


def find_or_create_tag(write: WriteRequest, name: str) -> Tag:
    """Return the tag with that name; a time entry that names an unknown tag creates it."""
    return write.world.tag_by_name(name) or _store(write, name)


def _store(write: WriteRequest, name: str) -> Tag:
    world = write.world
    return write.store(Tag(world.next_id("tag"), world.workspace.id, name, world.now(), write.actor.id))


def _free_name(write: WriteRequest, tag: Tag | None) -> str:
    name = (write.text("name") or "").strip()
    if not name:
        raise ErrorResponse(400, "tag name can't be blank")
    other = write.world.tag_by_name(name)
    if other is not None and other is not tag:
        raise ErrorResponse(400, f"a tag with the name '{name}' already exists")
    return name
