"""The options of ``[toggl]`` and the extra fields of a Toggl connection, with their types, ranges and defaults.

No other module reads them. A blank option or field has its default. An invalid one raises a ``ConfigurationError`` with
its name, its value and what is allowed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from airflow.providers.common.compat.sdk import AirflowConfigException, conf

from airflow_provider_toggl.core.arguments import (
    Parser,
    build_argument_error,
    is_empty,
    parse_choice,
    parse_file,
    parse_flag,
    parse_id,
    parse_number,
    parse_seconds,
    parse_text,
    parse_whole,
    parse_words,
)
from airflow_provider_toggl.core.errors import ConfigurationError

T = TypeVar("T")

SECTION = "toggl"

#: What Airflow accepts as the ID of a connection.
_CONN_ID = re.compile(r"[\w#!()\-.:/\\]+")
_seconds = partial(parse_seconds, maximum=86_400)


# -- options of [toggl] ------------------------------------------------------------------------------------------------


def state_dir() -> Path:
    """Return the folder of files that the processes of this host share."""
    return _option("state_dir", _path, Path(airflow_home()) / "toggl")


def single_host() -> bool:
    """Return whether all tasks run on one host, or see the same files, although the executor is for several hosts."""
    return _option("single_host", parse_flag, False)


def warehouse_path() -> Path:
    """Return the DuckDB file that is the warehouse when no connection names one."""
    return _option("warehouse_path", _path, Path(airflow_home()) / "toggl" / "warehouse.duckdb")


def warehouse_lock_timeout() -> float:
    """Return how many seconds a task waits for a warehouse that another process is writing to."""
    return _option("warehouse_lock_timeout", _seconds, 300.0)


def keep_history() -> bool:
    """Return whether tasks keep every version of a time entry that they load."""
    return _option("keep_history", parse_flag, False)


def report_lag() -> float:
    """Return how many seconds Toggl's reports may lag behind its writes."""
    return _option("report_lag", _seconds, 300.0)


def receiver_connections() -> tuple[str, ...]:
    """Return the IDs of the connections that the webhook receiver accepts deliveries for, without duplicates."""
    return _option("receiver_connections", _names, ())


def receiver_freeze_startup_objects() -> bool:
    """Return whether the API server's garbage collector skips the objects created before the first delivery."""
    return _option("receiver_freeze_startup_objects", parse_flag, True)


def airflow_home() -> str:
    """Return Airflow's home folder."""
    return os.path.expandvars(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser())


# -- fields of a Toggl connection --------------------------------------------------------------------------------------


def _pace(name: str, value: Any) -> float | None:
    number = parse_number(name, value)
    if number is not None and not 0 < number <= 1000:
        raise build_argument_error(name, value, "a number above 0 and up to 1,000")
    return number


def _pace_scope(name: str, value: Any) -> str | None:
    text = parse_text(name, value)
    return parse_choice(name, None if text is None else text.lower(), options=("token", "host"))


def _validation(name: str, value: Any) -> str | None:
    text = parse_text(name, value)
    return parse_choice(name, None if text is None else text.lower(), options=("synchronous", "asynchronous"))


class _Field(Generic[T]):
    """A field in the extra, parsed when it is used."""

    def __init__(self, parse: Parser, default: T) -> None:
        self._parse = parse
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, fields: TogglFields, owner: type) -> T:
        name = self._name
        try:
            parsed = self._parse(name, fields.extra.get(name))
        except ConfigurationError as error:
            problem = f"{name} is ***; it must be text" if name in _SECRETS else str(error).removesuffix(".")
            raise ConfigurationError(f"{problem} (in the extra of connection {fields.conn_id!r}).") from None
        return self._default if is_empty(parsed) else cast("T", parsed)


class TogglFields:
    """The fields in the extra of a Toggl connection.

    An invalid field raises a ``ConfigurationError`` only where it is needed: an invalid quota reserve does not stop
    deliveries.

    :param conn_id: the connection's ID, for messages.
    :param extra: the connection's extra.
    """

    #: The workspace to use unless a task names another.
    workspace_id = _Field[int | None](parse_id, None)
    #: The organization whose hourly quota is charged; None for the workspace's.
    organization_id = _Field[int | None](parse_id, None)
    #: The secret that deliveries are signed with; empty if there is none.
    webhook_secret = _Field(parse_text, "")
    #: A secret that is still accepted while a new one replaces it; empty if there is none.
    previous_webhook_secret = _Field(parse_text, "")
    #: The URL that Toggl delivers events to; empty if there is none.
    webhook_callback_url = _Field(parse_text, "")
    #: The connection of the event store; empty for the default store.
    event_store_conn_id = _Field(parse_text, "")
    #: Requests of each hourly quota that tasks leave for people and other tools.
    quota_reserve = _Field(partial(parse_whole, minimum=0, maximum=1_000_000), 2)
    #: The request rate that all processes with the token share.
    requests_per_second = _Field(_pace, 1.0)
    #: Who shares the request rate: all hosts (``token``), or the processes of one host (``host``).
    pace_scope = _Field(_pace_scope, "token")
    #: Whether the token and events may be sent unencrypted over a network.
    allow_plain_http = _Field(parse_flag, False)
    #: Whether the receiver answers a validation PING with its code (``synchronous``) or stores it.
    webhook_validation = _Field(_validation, "synchronous")

    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self.conn_id = conn_id
        self.extra = extra

    def read_all(self) -> dict[str, Any]:
        """Return every field by its name.

        :raises ConfigurationError: some are invalid; the error names each.
        """
        values, errors = {}, []
        for name in FIELDS:
            try:
                values[name] = getattr(self, name)
            except ConfigurationError as error:
                errors.append(str(error))
        if errors:
            raise ConfigurationError(" ".join(errors))
        return values


#: The names of all fields in the extra of a Toggl connection.
FIELDS = tuple(name for name, value in vars(TogglFields).items() if isinstance(value, _Field))
_SECRETS = frozenset(("webhook_secret", "previous_webhook_secret"))


# -- reading -----------------------------------------------------------------------------------------------------------


def _option(name: str, parse: Parser, default: T) -> T:
    try:
        value = conf.get(SECTION, name, fallback=None)
    except AirflowConfigException as error:
        # For example because a % in airflow.cfg is not doubled.
        raise ConfigurationError(f"[{SECTION}] {name} cannot be read: {error}.") from None
    parsed = parse(f"[{SECTION}] {name}", value)
    return default if is_empty(parsed) else cast("T", parsed)


def _path(name: str, value: Any) -> Path | None:
    path = parse_file(name, value)
    if path is not None and not path.is_absolute():
        # Scheduler, triggerer and workers may run in different folders, and each would use another file.
        raise build_argument_error(name, value, "an absolute path")
    return path


def _names(name: str, value: Any) -> tuple[str, ...]:
    # A list in airflow.cfg may span several lines.
    text = re.sub(r"\s*[\r\n]+\s*", ",", value.strip()) if isinstance(value, str) else value
    names = tuple(dict.fromkeys(parse_words(name, text) or ()))
    if not all(map(_CONN_ID.fullmatch, names)):
        raise build_argument_error(name, value, "IDs of connections with commas between them")
    return names
