"""The one argument of every write: the user, the JSON body and the HTTP request, with checked access to the body."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.sandbox.workspace.records import User
from airflow_provider_toggl.sandbox.workspace.world import EntityT, ErrorResponse, World

MALFORMED = "Invalid JSON input"
#: Most entities that one bulk PATCH may name.
LARGEST_BULK = 100
#: Toggl's years begin in 2006. The upper bound only keeps arithmetic on times possible.
YEARS = range(2006, 2100)

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,]\d+)?(Z|z|[+-]\d{2}:?\d{2})")


@dataclass(frozen=True)
class WriteRequest:
    """One write by one user.

    The readers (``integer``, ``text``, ...) take the names of a field, the current name first and legacy names after
    it. They return None for a field that is missing or null, and raise ``ErrorResponse`` (400) for another type.

    :param body: the JSON body; most writes need an object, a bulk PATCH a list.
    :param source: the HTTP request (``method``, ``path``, ``text``) that webhook events report; None outside HTTP.
    """

    world: World
    actor: User
    body: Any = field(default_factory=dict)
    source: Mapping[str, Any] | None = None

    def with_body(self, body: Mapping[str, Any]) -> WriteRequest:
        """Return the same request with another body."""
        return replace(self, body=body)

    def has(self, *names: str) -> bool:
        """Return whether the body has a field, null or not."""
        return any(name in self.body for name in names)

    def integer(self, *names: str) -> int | None:
        """Return an integer."""
        value = self._value(names)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise ErrorResponse(400, MALFORMED)

    def text(self, *names: str) -> str | None:
        """Return a text."""
        value = self._value(names)
        if value is None:
            return None
        if isinstance(value, str):
            return _without_lone_surrogates(value)
        raise ErrorResponse(400, MALFORMED)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean, ``default`` if the field is missing or null."""
        value = self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        raise ErrorResponse(400, MALFORMED)

    def items(self, name: str, kind: type) -> list[Any]:
        """Return a list whose items are all of one type, an empty list if the field is missing or null."""
        value = self.body.get(name)
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value):
            return [_without_lone_surrogates(item) if isinstance(item, str) else item for item in value]
        raise ErrorResponse(400, MALFORMED)

    def time(self, name: str) -> datetime | None:
        """Return an RFC 3339 time in UTC, cut to whole seconds as Toggl does."""
        text = self.text(name)
        if text is None:
            return None
        match = _TIME.fullmatch(text)
        if match is None:
            raise ErrorResponse(400, f"Invalid {name} time: {text}")
        day, clock, offset = match.groups()
        offset = "+00:00" if offset in "Zz" else offset if ":" in offset else f"{offset[:3]}:{offset[3:]}"
        try:
            moment = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(timezone.utc)
        except (ValueError, OverflowError):
            raise ErrorResponse(400, f"Invalid {name} time: {text}") from None
        if moment.year not in YEARS:
            raise ErrorResponse(400, f"Invalid {name} time: {text}")
        return moment

    def date(self, name: str) -> date | None:
        """Return a day in the form YYYY-MM-DD."""
        text = self.text(name)
        if text is None:
            return None
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ErrorResponse(400, f"Invalid {name}: {text}")
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ErrorResponse(400, f"Invalid {name}: {text}") from None

    def operations(self, ids: Iterable[int]) -> list[tuple[str, str, Any]]:
        """Return the JSON Patch operations of a bulk PATCH as (operation, field name, value).

        :param ids: the entities that the path names.
        :raises ErrorResponse: 400 for too few or too many ids, or a malformed operation.
        """
        count = len(list(ids))
        if count == 0:
            raise ErrorResponse(400, "PATCH expects at least one ID")
        if count > LARGEST_BULK:
            raise ErrorResponse(400, f"PATCH request is limited to {LARGEST_BULK} entries at once")
        if not isinstance(self.body, list) or not all(isinstance(one, dict) for one in self.body):
            raise ErrorResponse(400, MALFORMED)
        if not self.body:
            raise ErrorResponse(400, "No patchable fields defined")
        return [_read_operation(one) for one in self.body]

    def store(self, record: EntityT) -> EntityT:
        """Add a new record on behalf of the user."""
        return self.world.store(record, self.actor, self.source)

    def change(self, record: EntityT, fields: Mapping[str, Any], *, moves_at: bool = True) -> EntityT:
        """Set fields of a record on behalf of the user; ``at`` becomes now unless ``moves_at`` is false."""
        return self.world.change(record, fields, self.actor, self.source, moves_at=moves_at)

    def delete(self, record: EntityT) -> EntityT:
        """Mark a record as deleted on behalf of the user."""
        return self.world.mark_deleted(record, self.actor, self.source)

    def _value(self, names: Iterable[str]) -> Any:
        return next((self.body[name] for name in names if name in self.body), None)


def apply_to_each(ids: Iterable[int], update: Callable[[int], None]) -> dict[str, list[Any]]:
    """Update each record of a bulk PATCH, whichever others fail; return its answer."""
    success: list[int] = []
    failure: list[dict[str, Any]] = []
    for id_ in ids:
        try:
            update(id_)
        except ErrorResponse as error:
            failure.append({"id": id_, "message": error.text})
        else:
            success.append(id_)
    return {"success": success, "failure": failure}


def read_patched_value(verb: str, name: str, value: Any, never_empty: Collection[str]) -> Any:
    """Return the value that a JSON Patch operation gives to a field, None to empty it.

    :param never_empty: the fields that always have a value.
    :raises ErrorResponse: 400 if the operation would empty one of them.
    """
    patched = None if verb == "remove" else value
    if patched is None and name in never_empty:
        raise ErrorResponse(400, f"Operation not supported ({verb} /{name})")
    return patched


def unix(moment: datetime) -> int:
    """Return a time of whole seconds as a unix time."""
    return int(moment.timestamp())


def seconds_between(start: datetime, stop: datetime) -> int:
    """Return the whole seconds from one time to another."""
    return (stop - start) // timedelta(seconds=1)


def _without_lone_surrogates(text: str) -> str:
    r"""Replace lone surrogates, which JSON can express (``"\ud800"``) and UTF-8 cannot, as Go's decoder does."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _read_operation(operation: Mapping[str, Any]) -> tuple[str, str, Any]:
    verb, path = operation.get("op"), operation.get("path")
    if verb not in ("add", "remove", "replace"):
        raise ErrorResponse(400, f"Invalid op: {verb}")
    if not isinstance(path, str) or not re.fullmatch(r"/\w+", path):
        raise ErrorResponse(400, f"Invalid path format: {path}")
    return verb, path[1:], operation.get("value")
