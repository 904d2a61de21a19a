"""What REST writes do to clients."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import Payload, Request, flag_of, has, list_of, text_of
from airflow_provider_toggl.sandbox.workspace.records import Client, Project, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

LONGEST_NAME = 255


def create_client(world: World, actor: User, payload: Payload, *, request: Request | None = None) -> Client:
    """Create a client.

    :raises Refused: 400 when its name is empty, too long or taken.
    """
    client = Client(
        id=world.next_id("client"),
        workspace_id=world.workspace.id,
        name=_free_name(world, payload, None),
        at=world.now(),
        creator_id=actor.id,
        notes=text_of(payload, "notes") or "",
    )
    return world.store(client, actor, request)


def update_client(
    world: World, actor: User, client_id: int, payload: Payload, *, request: Request | None = None
) -> Client:
    """Change the name or the notes of a client.

    :raises Refused: 400 as ``create_client``, 404 when there is no such client.
    """
    client = get_client(world, client_id)
    fields: dict[str, Any] = {}
    if has(payload, "name"):
        fields["name"] = _free_name(world, payload, client)
    if has(payload, "notes"):
        fields["notes"] = text_of(payload, "notes") or ""
    return world.change(client, fields, actor, request)


def delete_client(world: World, actor: User, client_id: int, *, request: Request | None = None) -> int:
    """Delete a client; its projects have none then, and their ``at`` moves unless switched off.

    :returns: its id.
    :raises Refused: 404 when there is no such client.
    """
    client = get_client(world, client_id)
    for project in _projects_of(world, client_id):
        world.change(project, {"client_id": None}, actor, request, moves_at=world.settings.client_deletion_moves_at)
    world.mark_deleted(client, actor, request)
    return client_id


def archive_client(world: World, actor: User, client_id: int, *, request: Request | None = None) -> list[int]:
    """Archive a client and its projects.

    :returns: the ids of the projects that were archived with it.
    :raises Refused: 402 on the free plan, 404 when there is no such client.
    """
    if world.settings.plan == "free":
        raise ErrorResponse(402, "Workspace needs to have this feature enabled")
    client = get_client(world, client_id)
    archived = [project for project in _projects_of(world, client_id) if project.active]
    for project in archived:
        world.change(project, {"active": False}, actor, request)
    world.change(client, {"archived": True}, actor, request)
    return [project.id for project in archived]


def restore_client(
    world: World, actor: User, client_id: int, payload: Payload | None = None, *, request: Request | None = None
) -> Client:
    """Restore an archived client, and with ``restore_all_projects`` or ``projects`` (ids) its projects.

    :raises Refused: 404 when there is no such client.
    """
    client = get_client(world, client_id)
    payload = payload or {}
    everything, chosen = flag_of(payload, "restore_all_projects"), set(list_of(payload, "projects", int))
    for project in _projects_of(world, client_id):
        if not project.active and (everything or project.id in chosen):
            world.change(project, {"active": True}, actor, request)
    return world.change(client, {"archived": False}, actor, request)


def get_client(world: World, client_id: int) -> Client:
    """Return a live client.

    :raises Refused: 404 when there is none.
    """
    client = world.clients.get(client_id)
    if client is None or client.deleted_at is not None:
        raise ErrorResponse(404, f"No client with ID {client_id} was found")
    return client


def find_client(world: World, name: str) -> Client | None:
    """Return the live client of that name."""
    return next((client for client in world.clients.values() if client.name == name and not client.deleted_at), None)


def _projects_of(world: World, client_id: int) -> list[Project]:
    return [
        project for project in world.projects.values() if project.client_id == client_id and project.deleted_at is None
    ]


def _free_name(world: World, payload: Payload, client: Client | None) -> str:
    name = (text_of(payload, "name") or "").strip()
    if not name:
        raise ErrorResponse(400, "Client name cannot be empty")
    if len(name) > LONGEST_NAME:
        raise ErrorResponse(400, f"Client name maximum length is {LONGEST_NAME}")
    other = find_client(world, name)
    if other is not None and other is not client:
        raise ErrorResponse(400, "Name has already been taken")
    return name
