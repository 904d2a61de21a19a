"""Transitions of an entity, such as a stop: an event compared with the versions that were delivered before it.

Everything here is a pure function of events, so that reading the same events again decides the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.store import NewEvent
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
"""Each transition with the entities that can have it (empty: all) and the actions that can bring it."""

MAX_VERSIONS = 20
"""The most earlier versions of an entity that are compared; more are needed only where Toggl's two clocks disagree."""

Order = tuple[datetime, datetime, int]


@dataclass(frozen=True)
class EntityVersion:
    """One version of an entity, as an event delivers it.

    :param order: greater for a later version: ``at`` of the entity in whole seconds, then the time and id of the event.
    :param is_created: whether the event says that the entity was created.
    :param is_deleted: whether the entity is deleted in this version.
    :param fields: ``running``, ``project_id``, ``billable`` and ``name``; only what the event says.
    :param message: the event.
    """

    order: Order
    is_created: bool
    is_deleted: bool
    fields: Mapping[str, Any]
    message: Message


@dataclass(frozen=True)
class EntityState:
    """What the versions delivered so far say about an entity.

    :param order: of the latest version.
    :param is_deleted: in the latest version.
    :param fields: the latest value of each field, of versions that are not deleted.
    :param message: the latest version that is not deleted, None where there is none.
    """

    order: Order
    is_deleted: bool
    fields: Mapping[str, Any]
    message: Message | None


@dataclass(frozen=True)
class EntityChange:
    """What an event changed.

    :param transitions: names of ``TRANSITIONS``.
    :param from_project: the project that it was moved from; None where it had none, or was not moved.
    :param to_project: the project that it was moved to, likewise.
    """

    transitions: frozenset[str] = field(default_factory=frozenset)
    from_project: int | None = None
    to_project: int | None = None


def read_version(event: NewEvent, message: Message) -> EntityVersion:
    """Return the version that an event delivers; never raises, whatever the payload is."""
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
    """Whether an event says that its entity is deleted."""
    payload = message.payload
    return message.action == _DELETED or bool(payload.get("server_deleted_at") or payload.get("deleted_at"))


def build_state(versions: Iterable[EntityVersion]) -> EntityState | None:
    """Return what versions say together, in any order and any number of copies; None where there are none.

    A field that a payload lacks keeps its value, since some events bring only ids.
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

    A version that is not later than the state changed nothing: it is a copy, or arrived late, and what it changed is
    part of the difference to a later version already.

    :param state: of the versions delivered before it, None where none is known.
    :param match_unknown: where the value before is not known, take every transition that could have led to this
        version. False: none of them.
    """
    if state is None:
        return _find_first_change(version, match_unknown=match_unknown)
    if version.order <= state.order:
        return EntityChange()
    if version.is_deleted:
        return EntityChange(frozenset() if state.is_deleted else frozenset({"deleted"}))
    found = _compare(state.fields, version.fields, match_unknown=match_unknown)
    return (
        EntityChange(found.transitions | {"restored"}, found.from_project, found.to_project)
        if state.is_deleted
        else found
    )


def _find_first_change(version: EntityVersion, *, match_unknown: bool) -> EntityChange:
    """Return what the first version of an entity that is known changed."""
    if version.is_deleted:
        # It existed before, whatever it was.
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
        given = [payload[name] for name in names if name in payload]
        if given and isinstance(given[0], str | None):
            fields["name"] = given[0] or ""
    return fields


def _is_running(message: Message) -> bool | None:
    """Return whether an entry is running, None where an event does not say."""
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
    """Whether one of these transitions is possible for an entity."""
    return any(_can_have(transition, entity) for transition in transitions)


def find_id(value: Any) -> int | None:
    """Return a whole number, also one that is written as text as the metadata have it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _instant(value: Any) -> datetime | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None
