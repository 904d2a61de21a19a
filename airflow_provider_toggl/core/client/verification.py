"""Whether Toggl did what it answered OK to: the object in its answer, compared with what was asked. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_toggl.core.client.resources.subscriptions import (
    SubscriptionFilter,
    is_same_address,
    normalize_filters,
)
from airflow_provider_toggl.core.errors import NotApplied
from airflow_provider_toggl.core.instants import parse_instant

# Not given back; or decided by the plan, or by a project that enforces its own.
_NOT_COMPARED = {"created_with", "tag_action", "billable", "secret"}
# Texts of people are not written to logs.
_NOT_SHOWN = {"description", "name", "tags", "url_callback"}


def check_applied(what: str, asked: Mapping[str, Any], row: Any) -> None:
    """Return when an object has what was asked.

    Fields that the object does not have are not compared: then it is not known.

    :param what: what was done to which object, for the error: ``Updating time entry 5``.
    :param asked: the payload that was sent.
    :param row: the object as Toggl answers it.
    :raises NotApplied: a field differs; the error names it.
    """
    if not isinstance(row, Mapping):
        return
    different = [name for name in asked if name in row and not _is_same(name, asked, row)]
    if not different:
        return
    words = [
        name
        if name in _NOT_SHOWN or isinstance(row[name], list | dict)
        else f"{name} ({row[name]!r}, not {asked[name]!r})"
        for name in different
    ]
    raise NotApplied(
        f"{what}: Toggl answered that it was done, but its answer has another {', another '.join(words)}. Look in "
        "Toggl what is there; run the task again if it is not as it should be."
    )


def _is_same(name: str, asked: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    wanted, found = asked[name], row[name]
    if name == "duration":
        return _is_same_duration(asked, row)
    if name in _NOT_COMPARED:
        return True
    if name in ("start", "stop"):
        return bool(_second_of(wanted) == _second_of(found))
    if name in ("tags", "tag_ids"):
        return _are_same_tags(asked.get("tag_action"), wanted, found)
    if name == "event_filters":
        return _filters_of(wanted) == _filters_of(found)
    if name == "url_callback":
        return is_same_address(str(wanted), str(found))
    if isinstance(wanted, str) or isinstance(found, str):
        return str(wanted or "").strip() == str(found or "").strip()
    return bool(wanted == found)


def _is_same_duration(asked: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Compare durations; a negative one of any size stands for an entry that runs, and a stop has the last word."""
    wanted, found = asked["duration"], row["duration"]
    if asked.get("stop") is not None or not isinstance(wanted, int) or not isinstance(found, int):
        return True
    return found < 0 if wanted < 0 else found == wanted


def _second_of(text: Any) -> Any:
    with suppress(TypeError, ValueError):
        return parse_instant(text).replace(microsecond=0)
    return text or None


def _are_same_tags(action: Any, wanted: Any, found: Any) -> bool:
    some, there = ({str(tag).strip().casefold() for tag in _listed(tags)} for tags in (wanted, found))
    if action == "add":
        return some <= there
    return not some & there if action == "delete" else some == there


def _filters_of(rows: Any) -> tuple[SubscriptionFilter, ...]:
    pairs = [row for row in _listed(rows) if isinstance(row, Mapping)]
    return normalize_filters(SubscriptionFilter(str(row.get("entity")), str(row.get("action"))) for row in pairs)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
