"""Creates, changes and deletes clients (the customers that projects belong to), as Toggl's API v9 does."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import Client, Project
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World, get_live, live

LONGEST_NAME = 255


def create_client(write: WriteRequest) -> Client:
    """Create a client.

    :raises ErrorResponse: 400 if its name is empty, too long or taken.
    """
    world = write.world
    client = Client(
        id=world.next_id("client"),
        workspace_id=world.workspace.id,
        name=_free_name(write, None),
        at=world.now(),
        creator_id=write.actor.id,
        notes=write.text("notes") or "",
    )
    return write.store(client)


def update_client(write: WriteRequest, client_id: int) -> Client:
    """Change the name or the notes of a client.

    :raises ErrorResponse: 400 as ``create_client``, 404 if there is no such client.
    """
    client = get_client(write.world, client_id)
    fields: dict[str, Any] = {}
    if write.has("name"):
        fields["name"] = _free_name(write, client)
    if write.has("notes"):
        fields["notes"] = write.text("notes") or ""
    return write.change(client, fields)


def delete_client(write: WriteRequest, client_id: int) -> int:
    """Delete a client and remove it from its projects; their ``at`` becomes now if the
    setting ``client_deletion_moves_at`` is on.

    :returns: its id.
    :raises ErrorResponse: 404 if there is no such client.
    """
    client = get_client(write.world, client_id)
    for project in _projects_of(write.world, client_id):
        write.change(project, {"client_id": None}, moves_at=write.world.settings.client_deletion_moves_at)
    write.delete(client)
    return client_id


def archive_client(write: WriteRequest, client_id: int) -> list[int]:
    """Archive a client and its projects.

    :returns: the ids of the projects that were archived with it.
    :raises ErrorResponse: 402 on the free plan, 404 if there is no such client.
    """
    if write.world.settings.plan == "free":
        raise ErrorResponse(402, "Workspace needs to have this feature enabled")
    client = get_client(write.world, client_id)
    archived = [project for project in _projects_of(write.world, client_id) if project.active]
    for project in archived:
        write.change(project, {"active": False})
    write.change(client, {"archived": True})
    return [project.id for project in archived]


def restore_client(write: WriteRequest, client_id: int) -> Client:
    """Restore an archived client, and its projects by ``restore_all_projects`` or ``projects`` (ids).

    :raises ErrorResponse: 404 if there is no such client.
    """
    client = get_client(write.world, client_id)
    everything, chosen = write.flag("restore_all_projects"), set(write.items("projects", int))
    for project in _projects_of(write.world, client_id):
        if not project.active and (everything or project.id in chosen):
            write.change(project, {"active": True})
    return write.change(client, {"archived": False})


def get_client(world: World, client_id: int) -> Client:
    """Return a client that is not deleted.

    :raises ErrorResponse: 404 if there is none.
    """
    return get_live(world.clients, client_id, 404, f"No client with ID {client_id} was found")


def find_client(world: World, name: str) -> Client | None:
    """Return the client with that name, unless it is deleted."""
    return next((client for client in live(world.clients.values()) if client.name == name), None)


def _projects_of(world: World, client_id: int) -> list[Project]:
    return [project for project in live(world.projects.values()) if project.client_id == client_id]


def _free_name(write: WriteRequest, client: Client | None) -> str:
    name = (write.text("name") or "").strip()
    if not name:
        raise ErrorResponse(400, "Client name cannot be empty")
    if len(name) > LONGEST_NAME:
        raise ErrorResponse(400, f"Client name maximum length is {LONGEST_NAME}")
    other = find_client(write.world, name)
    if other is not None and other is not client:
        raise ErrorResponse(400, "Name has already been taken")
    return name
