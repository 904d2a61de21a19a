"""Checks that a write took effect: compares the object in Toggl's 2xx response with the payload. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_toggl.core.client.resources.subscriptions import is_same_address, read_filters
from airflow_provider_toggl.core.errors import NotApplied
from airflow_provider_toggl.core.instants import parse_instant

# Toggl does not return these, or the plan or the project may override them.
_NOT_COMPARED = {"created_with", "tag_action", "billable", "secret"}
# Errors do not show texts that people wrote.
_NOT_SHOWN = {"description", "name", "tags", "url_callback"}


def check_applied(what: str, sent: Mapping[str, Any], row: Any) -> None:
    """Check that an object has the values that were sent. Fields that it does not have are not compared.

    :param what: the write and its object, for the error: ``Updating time entry 5``.
    :param sent: the payload.
    :param row: the object in Toggl's response.
    :raises NotApplied: a field differs; the error names it.
    """
    if not isinstance(row, Mapping):
        return
    different = [name for name in sent if name in row and not _is_same(name, sent, row)]
    if not different:
        return
    words = [
        name
        if name in _NOT_SHOWN or isinstance(row[name], list | dict)
        else f"{name} ({row[name]!r}, not {sent[name]!r})"
        for name in different
    ]
    raise NotApplied(
        f"{what}: Toggl accepted the request, but its response differs in {', '.join(words)}. Check the object in "
        "Toggl, and run the task again if it is wrong."
    )


def _is_same(name: str, sent: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    wanted, found = sent[name], row[name]
    if name == "duration":
        return _is_same_duration(sent, row)
    if name in _NOT_COMPARED:
        return True
    if name in ("start", "stop"):
        return bool(_second_of(wanted) == _second_of(found))
    if name in ("tags", "tag_ids"):
        return _are_same_tags(sent.get("tag_action"), wanted, found)
    if name == "event_filters":
        return read_filters(wanted) == read_filters(found)
    if name == "url_callback":
        return is_same_address(str(wanted), str(found))
    if isinstance(wanted, str) or isinstance(found, str):
        return str(wanted or "").strip() == str(found or "").strip()
    return bool(wanted == found)


def _is_same_duration(sent: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Compare durations. Any negative one stands for a running entry, and a stop takes precedence."""
    wanted, found = sent["duration"], row["duration"]
    if sent.get("stop") is not None or not isinstance(wanted, int) or not isinstance(found, int):
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


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
