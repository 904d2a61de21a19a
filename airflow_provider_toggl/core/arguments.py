"""Parsers of arguments: from what a user, a template or XCom passes to one plain Python value. No I/O.

A parser is called with the name of a parameter and its value. It accepts its own results, so that parsing twice is
harmless. It returns None for a blank value: None, blank text, the text ``None`` that a template renders, and the
missing values of pandas. :func:`required` turns that into an error.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from functools import partial, wraps
from math import isfinite, isnan
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.instants import format_instant, parse_instant
from airflow_provider_toggl.core.streams import get_stream

P = ParamSpec("P")
T = TypeVar("T")

#: Called with the name of a parameter and its value; raises ``ConfigurationError``.
Parser = Callable[[str, Any], Any]

MAX_INT = 2**63 - 1
#: From here on a float does not represent one integer exactly.
_EXACT_FLOAT = 2**53
_WHOLE = re.compile(r"[+-]?[0-9]+(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# The text of a timedelta, which is what a template renders.
_CLOCK = re.compile(r"(?:(-?[0-9]+) days?, )?([0-9]{1,3}):([0-5][0-9]):([0-5][0-9](?:\.[0-9]{1,6})?)")
# A day as ds and ds_nodash render it.
_DAY = re.compile(r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})")
_FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
_LONGEST_SHOWN = 80
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")
#: In bytes, on the file systems of Linux and macOS.
STORAGE_SCHEMES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "adl")
"""Schemes of object stores that files can be written to."""

_LONGEST_FILE_NAME = 255
# A scheme such as duckdb:, md: or s3:. A single letter is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
#: Seconds in a hundred years, so that sums stay within the calendar.
_LONGEST_LENGTH = 100 * 366 * 86_400.0


def build_argument_error(name: str, value: Any, allowed: str) -> ConfigurationError:
    """Return the error for an invalid argument.

    :param allowed: what is valid, such as "a whole number of 1 or more".
    """
    return ConfigurationError(f"{name} is {show_value(value)}; it must be {allowed}.")


def unwrap(value: Any) -> Any:
    """Return the plain Python value of an enum member, a NumPy scalar or array, or a pandas series.

    The missing values of pandas and NumPy (NaN, NaT, NA) become None.
    """
    if isinstance(value, Enum):
        value = value.value
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library in ("numpy", "pandas"):
        if kind.__name__ in ("NAType", "NaTType"):
            return None
        if kind.__name__ in ("datetime64", "timedelta64"):
            plain = value.item()
            # NumPy converts nanoseconds to an integer.
            value = value.astype(f"{kind.__name__}[us]").item() if isinstance(plain, int) else plain
        elif hasattr(value, "tolist"):
            value = value.tolist()
    is_missing = value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and isnan(value)
    return None if is_missing else value


def is_blank(value: Any) -> bool:
    """Return whether a value is None, blank text, or the text that a template renders for None."""
    value = unwrap(value)
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def is_empty(parsed: Any) -> bool:
    """Return whether the result of a parser is empty."""
    return parsed is None or (isinstance(parsed, str | list | tuple | dict) and not parsed)


def required(parser: Parser) -> Parser:
    """Return a parser that refuses blank values."""

    def parse(name: str, value: Any) -> Any:
        parsed = parser(name, value)
        if is_empty(parsed):
            raise ConfigurationError(f"{name} is {show_value(value)}; it must not be empty.")
        return parsed

    return parse


def _none_if_blank(parse: Callable[Concatenate[str, Any, P], T]) -> Callable[Concatenate[str, Any, P], T | None]:
    """Let a parser return None for a blank value, and otherwise call it with the plain Python value."""

    @wraps(parse)
    def parse_unless_blank(name: str, value: Any, /, *args: P.args, **options: P.kwargs) -> T | None:
        return None if is_blank(value) else parse(name, unwrap(value), *args, **options)

    return parse_unless_blank


@_none_if_blank
def parse_text(name: str, value: Any) -> str:
    """Return text without the spaces around it; numbers, flags, dates and time zones become text."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool | int | float | Decimal) or type(value).__name__ == "UUID":
        return str(value)
    raise build_argument_error(name, value, "text")


def parse_free_text(name: str, value: Any) -> str:
    """Return text that may be empty."""
    return parse_text(name, value) or ""


def parse_conn_id(name: str, value: Any) -> str:
    """Return the ID of a connection; a blank value is an error."""
    conn_id = parse_text(name, value)
    if not conn_id:
        raise build_argument_error(name, value, "the ID of a connection")
    return conn_id


def parse_store_conn_id(name: str, value: Any) -> str | None:
    """Return the connection of an event store: blank for the default store, None for that of the Toggl connection."""
    return "" if isinstance(value, str) and not value.strip() else parse_text(name, value)


def parse_time_zone(name: str, value: Any) -> str | None:
    """Return the IANA name of a time zone, given as text or as a ``tzinfo`` with such a name."""
    if isinstance(value, tzinfo):
        value = getattr(value, "key", None) or str(value)
    zone = parse_text(name, value)
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (KeyError, OSError, ValueError):
            raise ConfigurationError(
                f"There is no time zone {show_value(zone)}: {name} must be an IANA name such as Europe/Berlin."
            ) from None
    return zone


def parse_choice(name: str, value: Any, *, options: Iterable[str]) -> str | None:
    """Return one of the options."""
    word = parse_text(name, value)
    if word is not None and word not in (known := tuple(options)):
        raise build_argument_error(name, value, f"one of {', '.join(known)}")
    return word


def parse_method(name: str, value: Any) -> str | None:
    """Return the name of an HTTP method that Toggl's API uses."""
    word = value.strip().upper() if isinstance(value, str) else value
    return parse_choice(name, word, options=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"))


def parse_stream(name: str, value: Any) -> str | None:
    """Return the name of a stream."""
    stream = parse_text(name, value)
    return None if stream is None else get_stream(stream).name


@_none_if_blank
def parse_whole(name: str, value: Any, *, minimum: int | None = None, maximum: int = MAX_INT) -> int:
    """Return an integer. Text of digits and floats without a fraction are accepted, True and False are not."""
    number = _find_whole(value)
    if number is None or number > maximum or number < (-MAX_INT if minimum is None else minimum):
        limits = "" if minimum is None else f" of {minimum} or more"
        limits = limits if maximum == MAX_INT else f" from {minimum or 0:,} to {maximum:,}"
        raise build_argument_error(name, value, f"a whole number{limits}")
    return number


@_none_if_blank
def parse_id(name: str, value: Any) -> int:
    """Return the ID of an object in Toggl."""
    number = _find_whole(value)
    if number is None or not 0 < number <= MAX_INT:
        raise build_argument_error(name, value, "an ID, a whole number above 0")
    return number


@_none_if_blank
def parse_number(name: str, value: Any, *, minimum: float | None = None, maximum: float | None = None) -> float:
    """Return a finite number. Text is accepted, True and False are not."""
    number = _find_number(value)
    if number is None or (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        limits = "" if minimum is None else f" of {minimum:g} or more"
        limits = limits if maximum is None else f" from {minimum or 0:g} to {maximum:g}"
        raise build_argument_error(name, value, f"a number{limits}")
    return number


@_none_if_blank
def parse_seconds(name: str, value: Any, *, minimum: float = 0.0, maximum: float = _LONGEST_LENGTH) -> float:
    """Return a duration in seconds, given as a number of seconds, a ``timedelta``, or the text of either."""
    length = _find_length(value)
    if length is None or not minimum <= length <= maximum:
        allowed = f"a length of time from {minimum:g} to {maximum:g} seconds"
        raise build_argument_error(name, value, f"{allowed}: a number of them, a timedelta, or text such as 1:30:00")
    return length


def parse_whole_seconds(name: str, value: Any, *, minimum: float = 0.0) -> int | None:
    """Return a duration in whole seconds, as :func:`parse_seconds`; a fraction is dropped."""
    length = parse_seconds(name, value, minimum=minimum)
    return None if length is None else int(length)


@_none_if_blank
def parse_flag(name: str, value: Any) -> bool:
    """Return True or False, given as a bool, as 1 or 0, or as a word such as ``yes``."""
    found = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if isinstance(value, bool | int | float) and value in (0, 1):
        found = bool(value)
    if found is None:
        raise build_argument_error(name, value, "true or false")
    return found


@_none_if_blank
def parse_day(name: str, value: Any) -> date | datetime:
    """Return a ``date``, or a ``datetime`` in UTC, given as one of these or as ISO text.

    A time must have its zone, because the day depends on it. ``20260131``, as ``ds_nodash`` renders it, is a day.
    """
    # A native template renders ds_nodash as an integer.
    given = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    day = _find_day(given)
    if day is not None:
        return day
    moment = _find_moment(given)
    if moment is None:
        raise ConfigurationError(
            f"{name} is {show_value(value)}; give a day (2026-01-31) or a time with its zone (2026-01-31T00:00+01:00)."
        )
    if moment.tzinfo is None:
        raise ConfigurationError(
            f"{name} is {moment.isoformat()}, a moment without a zone: add one, or give a day (2026-01-31)."
        )
    return _in_utc(name, moment)


@_none_if_blank
def parse_moment(name: str, value: Any) -> datetime:
    """Return a ``datetime`` in UTC, given as a ``datetime`` with a zone or as ISO text with one."""
    moment = _find_moment(value)
    if moment is None or moment.tzinfo is None:
        raise build_argument_error(name, value, "a date and time with its zone, such as 2026-03-10T09:00:00Z")
    return _in_utc(name, moment)


def parse_second(name: str, value: Any) -> datetime | None:
    """Return a ``datetime`` as :func:`parse_moment` does, truncated to seconds as Toggl does."""
    moment = parse_moment(name, value)
    return None if moment is None else moment.replace(microsecond=0)


@_none_if_blank
def parse_look_back(name: str, value: Any, *, words: Iterable[str] = ()) -> str | datetime | timedelta:
    """Return how far to look back: one of some words, a time, or a duration (``timedelta`` or seconds)."""
    known = tuple(words)
    if isinstance(value, str) and value.strip() in known:
        return value.strip()
    moment, length = _find_moment(value), _find_length(value)
    if moment is not None and moment.tzinfo is not None:
        return _in_utc(name, moment)
    if length is not None and 0 <= length <= _LONGEST_LENGTH:
        return timedelta(seconds=length)
    listed = "".join(f"{word!r}, " for word in known)
    raise build_argument_error(
        name,
        value,
        f"{listed}a date and time with its zone such as 2026-03-10T09:00:00Z, a timedelta or a number of seconds, "
        "or None",
    )


def parse_list(name: str, value: Any) -> list[Any]:
    """Return a list, given as one value, any iterable, or text.

    Text may be a list in JSON or Python syntax, as a template renders it, or have commas between its parts.
    """
    value = unwrap(value)
    if is_blank(value):
        return []
    if isinstance(value, str):
        text = value.strip()
        if text[0] not in "[({":
            return [part.strip() for part in text.split(",") if part.strip()]
        value = _read_literal(name, text, "one value, a list, or text with commas")
    if isinstance(value, Mapping):
        return [dict(value)]
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return list(value)
    return [value]


def parse_ids(name: str, value: Any) -> list[int] | None:
    """Return a list of IDs, None if it is empty."""
    parts = parse_list(name, value)
    numbers = [parse_id(name, part) for part in parts]
    if None in numbers:
        raise ConfigurationError(f"{name} is {show_value(value)}; one of them is empty.")
    return [number for number in numbers if number is not None] or None


def parse_words(name: str, value: Any, *, options: Iterable[str] | None = None) -> list[str] | None:
    """Return a list of words, each one of the options if there are any; None if it is empty."""
    parts = parse_list(name, value)
    if not all(isinstance(unwrap(part), str) and not is_blank(part) for part in parts):
        raise build_argument_error(name, value, "one word or several")
    words = [str(unwrap(part)).strip() for part in parts]
    if options is not None and not set(words) <= set(known := tuple(options)):
        raise build_argument_error(name, value, f"one or several of {', '.join(known)}")
    return words or None


def parse_tags(name: str, value: Any) -> tuple[str, ...]:
    """Return the names of tags without duplicates, given as a list or as text with commas."""
    names = (parse_text(name, part) for part in parse_list(name, value))
    return tuple(dict.fromkeys(one for one in names if one))


@_none_if_blank
def parse_object(name: str, value: Any) -> dict[str, Any]:
    """Return a dictionary, given as one or as text in JSON or Python syntax."""
    found = _read_literal(name, value.strip(), "an object") if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise build_argument_error(name, value, "an object")
    return dict(found)


def parse_json_object(name: str, value: Any) -> dict[str, Any] | None:
    """Return a dictionary with values for JSON, see :func:`parse_json`."""
    found = parse_object(name, value)
    return None if found is None else dict(parse_json(name, found))


def parse_query(name: str, value: Any) -> dict[str, Any] | None:
    """Return the parameters of a URL, as :func:`parse_json_object`, with flags as ``true`` and ``false``."""
    found = parse_json_object(name, value)
    words = {True: "true", False: "false"}
    return found and {key: words[inner] if isinstance(inner, bool) else inner for key, inner in found.items()}


def parse_json(name: str, value: Any) -> Any:
    """Return a value for JSON. Times become RFC 3339 in UTC, days ISO 8601, and durations whole seconds.

    Text of an object or a list, as a template renders it, is decoded.
    """
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        value = _read_literal(name, value.strip(), "JSON")
    return _as_json(name, value)


@_none_if_blank
def parse_file(name: str, value: Any) -> Path:
    """Return the path of a file or folder of this host, with ``~`` and environment variables expanded.

    A URL, the name of a database in memory and a name in quotation marks are refused: a database engine would not read
    them as a path, or would create a file with that name. A URL is not shown, because it may contain a password.
    """
    if not isinstance(value, str | Path):
        raise build_argument_error(name, value, "the path of a file")
    text = str(value).strip()
    if text.startswith(":memory:") or text.endswith("/:memory:"):
        raise ConfigurationError(
            f"{name} is {show_value(text)}. A database in memory is lost when the task ends: give the path of a file."
        )
    scheme = _SCHEME.match(text)
    if scheme:
        raise ConfigurationError(
            f"{name} begins with {scheme[0]!r}: it is a URL, or a database that is no file of this host. Give the path "
            "of a file, such as /var/lib/airflow/toggl/warehouse.duckdb."
        )
    if not text.isprintable() or text[0] in "'\"":
        raise build_argument_error(
            name, text, "a path without control characters, and without quotation marks around it"
        )
    unset = _VARIABLE.search(os.path.expandvars(text))
    if unset:
        raise ConfigurationError(f"{name} is {show_value(text)}; the environment variable {unset[0]} is not set.")
    try:
        path = Path(os.path.expandvars(text)).expanduser()
    except RuntimeError:
        raise ConfigurationError(f"{name} is {show_value(text)}; there is no such user on this host.") from None
    if any(len(os.fsencode(part)) > _LONGEST_FILE_NAME for part in path.parts):
        raise ConfigurationError(f"{name} is {show_value(text)}; a part of it is longer than a file's name can be.")
    return path


@_none_if_blank
def parse_storage_url(name: str, value: Any) -> str:
    """Return the URL of a folder in a file system or an object store, without a slash at its end.

    :param value: such a URL, an absolute path of this host, or an ``ObjectStoragePath``, whose connection is put into
        the URL: ``s3://conn_id@bucket/folder``.
    """
    text = str(value).strip()
    conn_id = getattr(value, "conn_id", None)
    if isinstance(conn_id, str) and "@" not in text and not text.startswith("file:"):
        text = text.replace("://", f"://{conn_id}@", 1)
    if not _SCHEME.match(text):
        path = parse_file(name, text)
        if path is None or not path.is_absolute():
            raise build_argument_error(name, value, "an absolute path, or a URL such as s3://bucket/folder")
        return path.as_uri()
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        if not rest.startswith("/"):
            raise build_argument_error(name, value, "an absolute path: file:///folder")
        return f"file:///{rest.strip('/')}"
    if scheme not in STORAGE_SCHEMES:
        raise ConfigurationError(
            f"{name} has the scheme {show_value(scheme)}. Files can be in: file, {', '.join(STORAGE_SCHEMES)}. Others "
            "cannot create a file in one step and only if it does not exist."
        )
    account, _, place = rest.rpartition("@")
    if ":" in account or "?" in rest or "#" in rest:
        # It is not shown, because it may contain a password.
        raise ConfigurationError(
            f"{name} has a password or a query in it. Put credentials into an Airflow connection, and name that: "
            f"{scheme}://conn_id@bucket/folder."
        )
    if not place.strip("/"):
        raise build_argument_error(name, value, f"a URL with a bucket: {scheme}://bucket/folder")
    return f"{scheme}://{rest.rstrip('/')}"


def parse_callable(name: str, value: Any) -> Any:
    """Return a function."""
    if value is not None and not callable(value):
        raise build_argument_error(name, value, "a function")
    return value


def parse_entry_changes(name: str, value: Any) -> dict[str, Any] | None:
    """Return the payload of an update of a time entry: known fields in Toggl's format. None clears a field."""
    changes = parse_object(name, value)
    if not changes:
        raise ConfigurationError(
            f"{name} is {show_value(value)}; it must be an object with at least one field to change."
        )
    unknown = sorted(set(map(str, changes)) - set(_ENTRY_PARSERS))
    if unknown:
        raise ConfigurationError(
            f"{name} has {', '.join(unknown)}; what can be changed is {', '.join(_ENTRY_PARSERS)}."
        )
    return {field: _ENTRY_PARSERS[field](f"{name}[{field!r}]", inner) for field, inner in changes.items()}


def show_value(value: Any) -> str:
    """Return a value as errors show it, shortened if it is long."""
    text = str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _find_whole(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float | Decimal) and abs(float(value)) < _EXACT_FLOAT and value % 1 == 0:
        return int(value)
    if isinstance(value, str) and len(value) < _LONGEST_SHOWN and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    return None


def _find_number(value: Any) -> float | None:
    if isinstance(value, str) and len(value) < _LONGEST_SHOWN and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip())
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return None
    number = float(value)
    return number if isfinite(number) else None


def _find_length(value: Any) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return _find_number(value)
    days, hours, minutes, seconds = match.groups()
    return int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _find_day(value: Any) -> date | None:
    if isinstance(value, date) and not isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    match = _DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    with suppress(ValueError):
        return date(int(match[1]), int(match[3]), int(match[4])) if match else None
    return None


def _find_moment(value: Any) -> datetime | None:
    """Return a plain ``datetime``, with or without a zone; None if the value is not a time."""
    if isinstance(value, datetime):
        return datetime.combine(value, value.timetz())
    if not isinstance(value, str):
        return None
    text = value.strip()
    readers: tuple[Callable[[str], datetime], ...] = (
        parse_instant,
        # As ts_nodash_with_tz renders.
        lambda text: datetime.strptime(text, "%Y%m%dT%H%M%S%z"),
        lambda text: datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text)),
    )
    for read in readers:
        with suppress(ValueError):
            return read(text)
    return None


def _in_utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError:
        raise ConfigurationError(f"{name} is {moment.isoformat()}; in UTC it is outside the years 1 to 9999.") from None


def _read_literal(name: str, text: str, allowed: str) -> Any:
    """Return the value of text in JSON or Python syntax, which is what templates render for lists and dictionaries."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return read(text)
    raise build_argument_error(name, text, f"{allowed}; as text it must be JSON")


def _as_json(name: str, value: Any) -> Any:
    # NaN and infinity are refused, and not read as missing values.
    value = value if isinstance(value, float) else unwrap(value)
    if isinstance(value, Mapping):
        return {_as_key(name, key): _as_json(f"{name}[{key!r}]", inner) for key, inner in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | set | frozenset):
        return [_as_json(f"{name}[{place}]", inner) for place, inner in enumerate(value)]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, date):
        return _as_instant(name, value) if isinstance(value, datetime) else value.isoformat()
    number = value.total_seconds() // 1 if isinstance(value, timedelta) else _find_number(value)
    if number is None:
        raise build_argument_error(name, value, "something that JSON can hold")
    # Toggl refuses 7.0, which is what pandas makes of 7, where it expects an integer.
    whole = _find_whole(number if isinstance(value, timedelta) else value)
    return number if whole is None else whole


def _as_key(name: str, key: Any) -> str:
    if isinstance(key, str):
        return key
    number = None if isinstance(key, float) else _find_whole(key)
    if number is not None:
        return str(number)
    raise ConfigurationError(f"{name} has the field {show_value(key)}; a field's name in JSON must be text.")


def _as_instant(name: str, value: Any) -> str | None:
    moment = parse_second(name, value)
    return None if moment is None else format_instant(moment)


#: Fields of a time entry that an update may set.
_ENTRY_PARSERS: dict[str, Parser] = {
    "description": parse_text,
    "start": _as_instant,
    "stop": _as_instant,
    # Toggl marks a running entry by a negative duration.
    "duration": partial(parse_whole_seconds, minimum=-_LONGEST_LENGTH),
    "project_id": parse_id,
    "task_id": parse_id,
    "tags": lambda name, value: list(parse_tags(name, value)),
    "tag_ids": lambda name, value: parse_ids(name, value) or [],
    "tag_action": lambda name, value: parse_choice(name, value, options=("add", "delete")),
    "billable": parse_flag,
}
