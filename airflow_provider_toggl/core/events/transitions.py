"""Find what an event changed, such as a stop, by comparing it with the entity's versions delivered before it.

Events are read as ``EntityVersion``. Earlier versions make an ``EntityState``, and the difference between the two is an
``EntityChange``. All functions are pure, so reading the same events again gives the same transitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.instants import parse_instant

_ENTRY = frozenset({"time_entry"})
_NAMED = frozenset({"time_entry", "project", "client", "tag", "task", "workspace", "workspace_user"})
_CREATED, _UPDATED, _DELETED = "created", "updated", "deleted"

TRANSITIONS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = MappingProxyType(
    {
        "started": (_ENTRY, frozenset({_CREATED, _UPDATED})),
        "stopped": (_ENTRY, frozenset({_CREATED, _UPDATED})),
        "logged": (_ENTRY, frozenset({_CREATED})),
        "moved": (frozenset({"time_entry", "task"}), frozenset({_CREATED, _UPDATED})),
        "became_billable": (frozenset({"time_entry", "project"}), frozenset({_CREATED, _UPDATED})),
        "became_non_billable": (frozenset({"time_entry", "project"}), frozenset({_CREATED, _UPDATED})),
        "renamed": (_NAMED, frozenset({_CREATED, _UPDATED})),
        "deleted": (frozenset(), frozenset({_DELETED, _UPDATED})),
        "restored": (frozenset(), frozenset({_CREATED, _UPDATED})),
    }
)
"""Each transition with the entities that can have it (empty: all) and the actions that can cause it."""

MAX_VERSIONS = 20
"""Most earlier versions of an entity that are compared. More matter only if Toggl's two clocks disagree."""

VersionOrder = tuple[datetime, datetime, int]


@dataclass(frozen=True)
class EntityVersion:
    """One version of an entity, as an event delivers it.

    :param order: greater for a later version: the entity's ``at`` in whole seconds, then the event's time and id.
    :param is_created: whether the event's action is ``created``.
    :param is_deleted: whether the entity is deleted in this version.
    :param fields: ``running``, ``project_id``, ``billable`` and ``name``, as far as the event has them.
    :param message: the event.
    """

    order: VersionOrder
    is_created: bool
    is_deleted: bool
    fields: Mapping[str, Any]
    message: Message


@dataclass(frozen=True)
class EntityState:
    """What is known of an entity from the versions delivered so far.

    :param order: of the latest version.
    :param is_deleted: in the latest version.
    :param fields: the latest value of each field, from versions that are not deleted.
    :param message: the latest version that is not deleted, None where there is none.
    """

    order: VersionOrder
    is_deleted: bool
    fields: Mapping[str, Any]
    message: Message | None


@dataclass(frozen=True)
class EntityChange:
    """What an event changed.

    :param transitions: names of ``TRANSITIONS``.
    :param from_project: the project that it was moved from; None if it had none or was not moved.
    :param to_project: the project that it was moved to, likewise.
    """

    transitions: frozenset[str] = field(default_factory=frozenset)
    from_project: int | None = None
    to_project: int | None = None


def read_version(event: NewEvent, message: Message) -> EntityVersion:
    """Return the version that an event delivers. Raises nothing, whatever the payload."""
    created_at = event.created_at or event.received_at
    at = _instant(message.payload.get("at")) or created_at
    return EntityVersion(
        order=(at.replace(microsecond=0), created_at, event.event_id),
        is_created=message.action == _CREATED,
        is_deleted=is_deletion(message),
        fields=_read_fields(message),
        message=message,
    )


def is_deletion(message: Message) -> bool:
    """Return whether an event reports its entity as deleted."""
    payload = message.payload
    return message.action == _DELETED or bool(payload.get("server_deleted_at") or payload.get("deleted_at"))


def build_state(versions: Iterable[EntityVersion]) -> EntityState | None:
    """Return the state that versions amount to, in any order and with any copies; None where there are no versions.

    A field that a payload lacks keeps its value, because some events have only ids.
    """
    ordered = sorted(versions, key=lambda version: version.order)
    if not ordered:
        return None
    fields: dict[str, Any] = {}
    message = None
    for version in ordered:
        if not version.is_deleted:
            fields.update(version.fields)
            message = version.message
    return EntityState(ordered[-1].order, ordered[-1].is_deleted, fields, message)


def find_change(state: EntityState | None, version: EntityVersion, *, match_unknown: bool = False) -> EntityChange:
    """Return what a version changed.

    A version that is not later than the state changed nothing: it is a copy, or it arrived late and its changes were
    part of the difference to a later version.

    :param state: of the versions delivered before it, None where there is none.
    :param match_unknown: whether an unknown earlier value counts as different, so that every transition that could
        have led to this version is returned.
    """
    if state is None:
        return _find_first_change(version, match_unknown=match_unknown)
    if version.order <= state.order:
        return EntityChange()
    if version.is_deleted:
        return EntityChange(frozenset() if state.is_deleted else frozenset({"deleted"}))
    found = _compare(state.fields, version.fields, match_unknown=match_unknown)
    return replace(found, transitions=found.transitions | {"restored"}) if state.is_deleted else found


def _find_first_change(version: EntityVersion, *, match_unknown: bool) -> EntityChange:
    if version.is_deleted:
        # It existed before.
        return EntityChange(frozenset({"deleted"}))
    if version.is_created:
        running = version.fields.get("running")
        return EntityChange() if running is None else EntityChange(frozenset({"started" if running else "logged"}))
    return _compare({}, version.fields, match_unknown=match_unknown)


def _compare(before: Mapping[str, Any], after: Mapping[str, Any], *, match_unknown: bool) -> EntityChange:
    found: set[str] = set()
    from_project = to_project = None
    for name, value in after.items():
        if (before[name] == value) if name in before else not match_unknown:
            continue
        if name == "running":
            found.add("started" if value else "stopped")
        elif name == "billable":
            found.add("became_billable" if value else "became_non_billable")
        elif name == "name":
            found.add("renamed")
        else:
            found.add("moved")
            from_project, to_project = before.get(name), value
    return EntityChange(frozenset(found), from_project, to_project)


def _read_fields(message: Message) -> dict[str, Any]:
    entity, payload = message.entity, message.payload
    fields: dict[str, Any] = {}
    if entity == "time_entry" and (running := _is_running(message)) is not None:
        fields["running"] = running
    if _can_have("moved", entity) and not {"project_id", "pid"}.isdisjoint(payload):
        project = find_id(payload.get("project_id"))
        fields["project_id"] = find_id(payload.get("pid")) if project is None else project
    if _can_have("became_billable", entity) and isinstance(payload.get("billable"), bool):
        fields["billable"] = payload["billable"]
    if _can_have("renamed", entity):
        names = ("description",) if entity == "time_entry" else ("name", "fullname")
        present = [payload[name] for name in names if name in payload]
        if present and isinstance(present[0], str | None):
            fields["name"] = present[0] or ""
    return fields


def _is_running(message: Message) -> bool | None:
    """Return whether an entry is running, None where the event does not show it."""
    payload = message.payload
    duration = payload.get("duration")
    if payload.get("stop"):
        return False
    if isinstance(duration, int | float) and not isinstance(duration, bool):
        return duration < 0
    if "stop" in payload or (message.action == _CREATED and payload):
        return True
    return None


def _can_have(transition: str, entity: str | None) -> bool:
    entities, _ = TRANSITIONS[transition]
    return not entities or entity in entities


def can_have_any(transitions: Iterable[str], entity: str | None) -> bool:
    """Return whether an entity can have one of these transitions."""
    return any(_can_have(transition, entity) for transition in transitions)


def find_id(value: Any) -> int | None:
    """Return an id, which may be text as in the metadata; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _instant(value: Any) -> datetime | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None
