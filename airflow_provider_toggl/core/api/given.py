"""What a task is given to write: ids, moments, names, flags, perhaps as the texts that a template renders. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.instants import parse_instant

#: Fields of an entry that an update may set.
CHANGEABLE = (
    "description",
    "start",
    "stop",
    "duration",
    "project_id",
    "task_id",
    "tags",
    "tag_ids",
    "tag_action",
    "billable",
)


def read_moment(name: str, value: Any) -> datetime:
    """Return a moment that a task was given, in UTC, cut to whole seconds, as Toggl cuts it.

    :raises ConfigurationError: it is no date and time with its zone.
    """
    try:
        # As text it must have its zone.
        moment = parse_instant(value.isoformat() if isinstance(value, datetime) else str(value).strip())
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is {value!r}; it must be a date and time with its zone, as 2026-03-10T09:00:00Z ({error})."
        ) from None
    return moment.replace(microsecond=0)


def read_tags(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return tag names: of several, or of one text with commas between them, as a template renders."""
    names = value.split(",") if isinstance(value, str) else value or ()
    return tuple(dict.fromkeys(name.strip() for name in map(str, names) if name.strip()))


def read_changes(changes: Any) -> dict[str, Any]:
    """Return what an update is to send: known fields, with ids, times and tags in Toggl's form.

    :raises ConfigurationError: there is none, or one is unknown or cannot be what it is.
    """
    if not isinstance(changes, dict) or not changes:
        raise ConfigurationError("changes must be an object of what is to be changed, and have something in it.")
    unknown = sorted(set(map(str, changes)) - set(CHANGEABLE))
    if unknown:
        raise ConfigurationError(f"changes has {', '.join(unknown)}; what can be changed is {', '.join(CHANGEABLE)}.")
    return {name: _read_change(name, value) for name, value in changes.items()}


def read_id(name: str, value: Any) -> int | None:
    """Return an id that a task was given, perhaps as the text that a template renders; None for none.

    :raises ConfigurationError: it is no whole number above 0.
    """
    if value is None or str(value).strip() in ("", "None"):
        return None
    text = str(value).strip()
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or int(text) == 0:
        raise ConfigurationError(f"{name} is {value!r}; it must be an id, a whole number.")
    return int(text)


def read_flag(name: str, value: Any) -> bool | None:
    """Return a yes or no that a task was given, perhaps as the text that a template renders; None for none.

    :raises ConfigurationError: it is neither.
    """
    if value is None or isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "false": False, "0": False, "": None, "none": None}
    word = str(value).strip().lower()
    if word not in known:
        raise ConfigurationError(f"{name} is {value!r}; it must be true or false.")
    return known[word]


def instant_text(moment: datetime) -> str:
    """Return a moment in the form that Toggl takes, in UTC and whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_ids(name: str, value: Any) -> list[int]:
    given = [one for one in value.split(",") if one.strip()] if isinstance(value, str) else value or ()
    numbers = [number for one in given if (number := read_id(name, one)) is not None]
    if len(numbers) < len(given):
        raise ConfigurationError(f"{name} is {value!r}; one of them is empty.")
    return numbers


def _read_change(name: str, value: Any) -> Any:
    if name in ("start", "stop"):
        return None if value is None else instant_text(read_moment(name, value))
    if name in ("project_id", "task_id"):
        return read_id(name, value)
    if name == "billable":
        return read_flag(name, value)
    if name == "tags":
        return list(read_tags(value))
    if name == "tag_ids":
        return _read_ids(name, value)
    if name == "duration":
        try:
            return int(str(value).strip())
        except ValueError:
            raise ConfigurationError(f"duration is {value!r}; it must be whole seconds.") from None
    return None if value is None else str(value)
