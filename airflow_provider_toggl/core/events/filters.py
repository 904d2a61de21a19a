"""Filter events. A filter is plain data, so it can be stored, compared and sent to another process."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, partial
from typing import Any

from airflow_provider_toggl.core.arguments import (
    parse_choice,
    parse_flag,
    parse_list,
    parse_number,
    parse_object,
    parse_whole,
    parse_words,
    required,
    unwrap,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.transitions import (
    TRANSITIONS,
    EntityState,
    can_have_any,
    find_change,
    find_id,
    is_deletion,
    read_version,
)
from airflow_provider_toggl.core.instants import parse_instant

Plain = str | int | float | bool | None

# The keys by which Toggl's objects refer to others; the second ones are those of older bodies.
_REFERENCE_KEYS: dict[str, tuple[str, ...]] = {
    "project": ("project_id", "pid"),
    "user": ("user_id", "uid"),
    "client": ("client_id", "cid"),
    "tag": ("tag_ids",),
}

UNKNOWN_PREVIOUS = ("ignore", "match")
"""What a filter with transitions does with an event whose entity has no earlier version in the store."""


@dataclass(frozen=True)
class Condition:
    """One condition on a field of the payload.

    :param field: its name.
    :param op: ``eq``, ``ne``, ``gt``, ``gte``, ``lt``, ``lte``, ``in``, ``exists`` or ``contains``.
    :param value: what the field is compared with; several for ``in``.
    """

    field: str
    op: str
    value: Plain | tuple[Plain, ...]

    def holds(self, payload: Mapping[str, Any]) -> bool:
        """Return whether the payload fulfils it; False where the field has another type."""
        found = payload.get(self.field)
        return _OPERATORS[self.op](found, _as_type_of(found, self.value))


@dataclass(frozen=True)
class EventFilter:
    """The conditions that an event must meet to match. An empty parameter is no condition. A PING never matches.

    One of the values of each parameter must match, and all parameters must match.

    :param entities: Toggl's names: ``time_entry``, ``project``, ...
    :param actions: ``created``, ``updated``, ``deleted``.
    :param workspace_ids: workspaces of what changed.
    :param project_ids: projects that changed, or that the changed object belongs to. Likewise ``user_ids``,
        ``client_ids`` and ``tag_ids``. A ``deleted`` event may lack them.
    :param where: conditions on the payload, which must all hold.
    :param transitions: names of ``transitions.TRANSITIONS``, one of which the event must have caused, compared with the
        earlier version of the same entity. The other conditions on a deletion then apply to that version.
    :param from_project_ids: projects that it must have been moved from. Implies the transition ``moved``. Likewise
        ``to_project_ids``.
    :param unknown_previous: what matches if the earlier version is unknown. ``ignore``: nothing; ``match``: every
        transition that could have led to this version.
    """

    entities: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    workspace_ids: tuple[int, ...] = ()
    project_ids: tuple[int, ...] = ()
    user_ids: tuple[int, ...] = ()
    client_ids: tuple[int, ...] = ()
    tag_ids: tuple[int, ...] = ()
    where: tuple[Condition, ...] = field(default=())
    transitions: tuple[str, ...] = ()
    from_project_ids: tuple[int, ...] = ()
    to_project_ids: tuple[int, ...] = ()
    unknown_previous: str = "ignore"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> EventFilter:
        """Return the filter that plain data describes, such as ``to_dict`` returns.

        Each parameter may be one value or several; ids may be text. ``where`` is an object of ``{field: value}`` or
        ``{field: {operator: value, ...}}``.

        :raises ConfigurationError: a name is unknown, a value has the wrong form, or no event could ever match.
        """
        data = dict(data or {})
        unknown = sorted(set(data) - {one.name for one in fields(cls)})
        if unknown:
            known = ", ".join(one.name for one in fields(cls))
            raise ConfigurationError(
                f"An event filter has no parameter {', '.join(map(str, unknown))}. It may have: {known}."
            )
        where, unknown_previous = data.pop("where", None), data.pop("unknown_previous", None)
        values = {name: _several(name, value) for name, value in data.items()}
        built = cls(
            **{name: tuple(sorted({_check(name, one) for one in some})) for name, some in values.items()},
            where=_conditions(where),
            unknown_previous=parse_choice("unknown_previous of a filter", unknown_previous, options=UNKNOWN_PREVIOUS)
            or UNKNOWN_PREVIOUS[0],
        )
        if (built.from_project_ids or built.to_project_ids) and not built.transitions:
            built = replace(built, transitions=("moved",))
        _check_transitions(built)
        return built

    def to_dict(self) -> dict[str, Any]:
        """Return plain data from which ``from_dict`` builds an equal filter; without empty parameters."""
        found: dict[str, Any] = {
            one.name: list(getattr(self, one.name))
            for one in fields(self)
            if one.name not in ("where", "unknown_previous") and getattr(self, one.name)
        }
        if self.unknown_previous != UNKNOWN_PREVIOUS[0]:
            found["unknown_previous"] = self.unknown_previous
        for condition in self.where:
            value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
            found.setdefault("where", {}).setdefault(condition.field, {})[condition.op] = value
        return found

    def may_match(self, event: NewEvent) -> bool:
        """Return whether a stored event can match, without parsing its body."""
        return self._is_about(event.entity, event.action, event.workspace_id)

    def matches(self, message: Message) -> bool:
        """Return whether an event matches in everything but its transition. Raises nothing, whatever the payload."""
        if message.is_ping or not self._is_about(message.entity, message.action, message.workspace_id):
            return False
        if self.transitions and is_deletion(message):
            return "deleted" in self.transitions  # what it belonged to may be known from the earlier version only
        return self._describes(message)

    def find_transitions(self, event: NewEvent, message: Message, state: EntityState | None) -> tuple[str, ...]:
        """Return which of the filter's transitions an event caused that ``matches``; empty where it does not match.

        :param state: its entity's state before the event, None where unknown.
        """
        change = find_change(state, read_version(event, message), match_unknown=self.unknown_previous == "match")
        found = change.transitions.intersection(self.transitions)
        if (self.from_project_ids and change.from_project not in self.from_project_ids) or (
            self.to_project_ids and change.to_project not in self.to_project_ids
        ):
            return ()
        if found and is_deletion(message):
            before = state.message if state else None
            if before is not None:
                present = {name: value for name, value in message.payload.items() if value is not None}
                metadata = {**before.metadata, **message.metadata}
                message = replace(message, payload={**before.payload, **present}, metadata=metadata)
            if not self._describes(message):
                return ()
        return tuple(sorted(found))

    def _is_about(self, entity: str | None, action: str | None, workspace_id: int | None) -> bool:
        return (
            (not self.entities or entity in self.entities)
            and (not self.actions or action in self.actions)
            and (not self.workspace_ids or workspace_id in self.workspace_ids)
            and (not self.transitions or can_have_any(self.transitions, entity))
        )

    def _describes(self, message: Message) -> bool:
        return all(_refers_to(message, reference, ids) for reference, ids in self._references) and all(
            condition.holds(message.payload) for condition in self.where
        )

    @cached_property
    def _references(self) -> tuple[tuple[str, frozenset[int]], ...]:
        """The ids that a message must refer to. Cached: a thousand filters may be applied to each event."""
        references = (
            ("project", self.project_ids),
            ("user", self.user_ids),
            ("client", self.client_ids),
            ("tag", self.tag_ids),
        )
        return tuple((reference, frozenset(ids)) for reference, ids in references if ids)


def _refers_to(message: Message, reference: str, ids: frozenset[int]) -> bool:
    """Return whether a message has one of these ids, of the changed object or of what it belongs to."""
    if message.entity == reference and message.entity_id in ids:
        return True
    for key in _REFERENCE_KEYS[reference]:
        for source in (message.payload, message.metadata):
            value = source.get(key)
            if value is None:
                continue
            if any(find_id(one) in ids for one in (value if isinstance(value, list) else (value,))):
                return True
    return False


def _several(name: str, value: Any) -> list[Any]:
    some = parse_list(f"{name} of a filter", value)
    if value is not None and not some and isinstance(value, str):
        raise ConfigurationError(f"{name} of a filter is {value!r}; it must not be empty.")
    return some


def _check(name: str, value: Any) -> Any:
    if name == "transitions":
        return required(partial(parse_choice, options=TRANSITIONS))("transitions of a filter", value)
    if name in ("entities", "actions"):
        words = parse_words(name, value) if isinstance(value, str) else None
        if words is None or len(words) != 1:
            raise ConfigurationError(
                f"{name} of a filter has {value!r}; expected are words such as time_entry or updated."
            )
        return words[0]
    return required(partial(parse_whole, minimum=0))(f"{name} of a filter", value)


def _check_transitions(wanted: EventFilter) -> None:
    if (wanted.from_project_ids or wanted.to_project_ids) and wanted.transitions != ("moved",):
        raise ConfigurationError(
            "A filter with from_project_ids or to_project_ids has the transition moved, and cannot also have "
            f"{', '.join(wanted.transitions)}. Use a second sensor or asset for those."
        )
    for transition in wanted.transitions:
        entities, actions = TRANSITIONS[transition]
        if entities and wanted.entities and entities.isdisjoint(wanted.entities):
            raise ConfigurationError(
                f"The filter's entities ({', '.join(wanted.entities)}) cannot have the transition {transition}, only "
                f"{', '.join(sorted(entities))} can. Remove the entities or the transition."
            )
        if wanted.actions and actions.isdisjoint(wanted.actions):
            raise ConfigurationError(
                f"The filter's actions ({', '.join(wanted.actions)}) cannot cause the transition {transition}, only "
                f"{', '.join(sorted(actions))} can. Remove the actions."
            )


def _conditions(where: Any) -> tuple[Condition, ...]:
    where = parse_object("where of a filter", where) or {}
    found = [
        _condition(name, op, value)
        for name, wanted in where.items()
        for op, value in (wanted.items() if isinstance(wanted, Mapping) else (("eq", wanted),))
    ]
    return tuple(sorted(found, key=lambda one: (one.field, one.op, json.dumps(one.value))))


def _condition(name: Any, op: Any, value: Any) -> Condition:
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"where of a filter has the field {name!r}; a field must be a name.")
    if op not in _OPERATORS:
        raise ConfigurationError(
            f"where of a filter has the operator {op!r} for {name}; it may be: {', '.join(_OPERATORS)}."
        )
    if op == "in":
        return Condition(
            name, op, tuple(_plain(name, one) for one in parse_list(f"where of a filter, in of {name}", value))
        )
    if op == "exists":
        return Condition(name, op, required(parse_flag)(f"where of a filter, exists of {name}", value))
    value = value if isinstance(value, float) else unwrap(value)
    if op in _ORDERS and (value is None or isinstance(value, bool)):
        raise ConfigurationError(f"where of a filter compares {name} by {op} with {value!r}, which has no order.")
    return Condition(name, op, _plain(name, value))


def _plain(name: str, value: Any) -> Plain:
    value = value if isinstance(value, float) else unwrap(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ConfigurationError(f"where of a filter compares {name} with a time without a zone.")
        return value.isoformat()
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and value - value == 0):
        return value
    raise ConfigurationError(
        f"where of a filter compares {name} with a {type(value).__name__}; expected is text, a number, true, false or "
        "null."
    )


def _as_type_of(found: Any, wanted: Any) -> Any:
    """Return a text as a number or boolean if the field is one: a template renders only text."""
    if isinstance(wanted, tuple):
        return tuple(_as_type_of(found, one) for one in wanted)
    if not isinstance(wanted, str) or not isinstance(found, int | float):
        return wanted
    try:
        if isinstance(found, bool):
            return parse_flag("where", wanted)
        number = parse_number("where", wanted)
        return parse_whole("where", wanted) if number is not None and number.is_integer() else number
    except ConfigurationError:
        return wanted


def _equal(found: Any, wanted: Any) -> bool:
    # To Python True equals 1. To a filter `billable: true` it must not.
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Return a comparison that compares numbers with numbers, instants with instants and text with text."""

    def holds(found: Any, wanted: Any) -> bool:
        if isinstance(found, str) and isinstance(wanted, str):
            try:
                return compare(parse_instant(found), parse_instant(wanted))
            except ValueError:
                return compare(found, wanted)
        numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
        return numbers and not isinstance(found, bool) and compare(found, wanted)

    return holds


def _contains(found: Any, wanted: Any) -> bool:
    if isinstance(found, str):
        return isinstance(wanted, str) and wanted in found
    return isinstance(found, list) and any(_equal(one, wanted) for one in found)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "gt": _ordered(lambda found, wanted: bool(found > wanted)),
    "gte": _ordered(lambda found, wanted: bool(found >= wanted)),
    "lt": _ordered(lambda found, wanted: bool(found < wanted)),
    "lte": _ordered(lambda found, wanted: bool(found <= wanted)),
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _equal,
    "ne": lambda found, wanted: not _equal(found, wanted),
    **_ORDERS,
    "in": lambda found, wanted: any(_equal(found, one) for one in wanted),
    "exists": lambda found, wanted: (found is not None) == wanted,
    "contains": _contains,
}
