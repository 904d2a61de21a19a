"""What the bodies of writes hold, checked; all refusals of malformed ones are here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

#: A body of JSON.
Payload = Mapping[str, Any]
#: What listeners are told about the request that made a change.
Request = Mapping[str, Any]

MALFORMED = "Invalid JSON input"
#: Entities that one bulk PATCH may name.
LARGEST_BULK = 100
#: Toggl's years begin in 2006; the end only keeps sums of times possible.
YEARS = range(2006, 2100)

_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,]\d+)?(Z|z|[+-]\d{2}:?\d{2})")


def has(payload: Payload, *names: str) -> bool:
    """Tell whether any of these names (the newer one first) is in the payload, null or not."""
    return any(name in payload for name in names)


def value_of(payload: Payload, *names: str) -> Any:
    """Return what the first of these names says that is there; a legacy name is looked at last."""
    return next((payload[name] for name in names if name in payload), None)


def int_of(payload: Payload, *names: str) -> int | None:
    """Return a whole number or None; refused (400) when it is anything else."""
    value = value_of(payload, *names)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ErrorResponse(400, MALFORMED)


def text_of(payload: Payload, *names: str) -> str | None:
    """Return a text or None; refused (400) when it is anything else."""
    value = value_of(payload, *names)
    if value is None:
        return None
    if isinstance(value, str):
        return _without_lone_surrogates(value)
    raise ErrorResponse(400, MALFORMED)


def _without_lone_surrogates(text: str) -> str:
    r"""Replace what JSON can say (``"\ud800"``) and UTF-8 cannot, as Go does; else no answer could hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def flag_of(payload: Payload, name: str, default: bool = False) -> bool:
    """Return a boolean, the default when it is null or not there; refused (400) when it is anything else."""
    value = payload.get(name)
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    raise ErrorResponse(400, MALFORMED)


def list_of(payload: Payload, name: str, kind: type) -> list[Any]:
    """Return a list of that kind, empty for null; refused (400) when it is anything else."""
    value = payload.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(item, kind) and not isinstance(item, bool) for item in value):
        return [_without_lone_surrogates(item) if isinstance(item, str) else item for item in value]
    raise ErrorResponse(400, MALFORMED)


def time_of(payload: Payload, name: str) -> datetime | None:
    """Return a time in UTC, cut to whole seconds as Toggl does, or None; refused (400) when it is no RFC 3339 time."""
    text = text_of(payload, name)
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


def date_of(payload: Payload, name: str) -> date | None:
    """Return a day or None; refused (400) when it is not YYYY-MM-DD."""
    text = text_of(payload, name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ErrorResponse(400, f"Invalid {name}: {text}")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ErrorResponse(400, f"Invalid {name}: {text}") from None


def unix(moment: datetime) -> int:
    """Return a time of whole seconds as a unix time."""
    return int(moment.timestamp())


def seconds_between(start: datetime, stop: datetime) -> int:
    """Return whole seconds from one to the other."""
    return (stop - start) // timedelta(seconds=1)


def check_bulk(ids: Iterable[int], ops: Any) -> list[tuple[str, str, Any]]:
    """Return the operations of a bulk PATCH as (op, name of the field, value).

    :raises Refused: 400, too few or too many ids, or an operation that is not one.
    """
    count = len(list(ids))
    if count == 0:
        raise ErrorResponse(400, "PATCH expects at least one ID")
    if count > LARGEST_BULK:
        raise ErrorResponse(400, f"PATCH request is limited to {LARGEST_BULK} entries at once")
    if not isinstance(ops, list) or not all(isinstance(op, dict) for op in ops):
        raise ErrorResponse(400, MALFORMED)
    if not ops:
        raise ErrorResponse(400, "No patchable fields defined")
    return [_checked_op(op) for op in ops]


def _checked_op(op: Payload) -> tuple[str, str, Any]:
    verb, path = op.get("op"), op.get("path")
    if verb not in ("add", "remove", "replace"):
        raise ErrorResponse(400, f"Invalid op: {verb}")
    if not isinstance(path, str) or not re.fullmatch(r"/\w+", path):
        raise ErrorResponse(400, f"Invalid path format: {path}")
    return verb, path[1:], op.get("value")
