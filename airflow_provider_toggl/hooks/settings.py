"""Read the options of ``[toggl]`` and the extra fields of a Toggl connection, with their types and ranges.

No other module reads them. An option or a field that is blank has its default; one that cannot be read raises a
``ConfigurationError`` with its name, its value and what is allowed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowConfigException, conf

from airflow_provider_toggl.core.errors import ConfigurationError

T = TypeVar("T")

SECTION = "toggl"

_TRUE = frozenset(("1", "true", "t", "yes", "y", "on"))
_FALSE = frozenset(("0", "false", "f", "no", "n", "off"))
_LARGEST_ID = 2**63 - 1


# -- options of [toggl] ------------------------------------------------------------------------------------------------


def state_dir() -> Path:
    """Return the folder that the processes of this host share."""
    return _option("state_dir", _path, Path(airflow_home()) / "toggl")


def warehouse_path() -> Path:
    """Return the DuckDB file that rows land in where no DuckDB connection exists."""
    return _option("warehouse_path", _path, Path(airflow_home()) / "toggl" / "warehouse.duckdb")


def warehouse_lock_timeout() -> float:
    """Return for how many seconds a task waits for a warehouse that another process is writing."""
    return _option("warehouse_lock_timeout", lambda value: _number(value, 0, 86_400), 300.0)


def keep_history() -> bool:
    """Return whether tasks that land keep each version of a time entry that they see."""
    return _option("keep_history", _flag, False)


def report_lag() -> float:
    """Return by how many seconds Toggl's reports may lag behind its writes."""
    return _option("report_lag", lambda value: _number(value, 0, 86_400), 300.0)


def receiver_connections() -> tuple[str, ...]:
    """Return the IDs of the connections that the webhook receiver takes deliveries for, without duplicates."""
    return _option("receiver_connections", _names, ())


def receiver_freeze_startup_objects() -> bool:
    """Return whether the API server's garbage collections skip what was loaded before the first delivery."""
    return _option("receiver_freeze_startup_objects", _flag, True)


def airflow_home() -> str:
    """Return Airflow's home folder."""
    return os.path.expandvars(Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser())


# -- fields of a Toggl connection --------------------------------------------------------------------------------------


class TogglFields:
    """The fields in the extra of a Toggl connection, each read when it is asked for.

    A field that cannot be read raises a ``ConfigurationError`` only where it is needed: deliveries are taken in
    whatever the quota reserve is.

    :param conn_id: the connection's ID, for messages.
    :param extra: the connection's extra.
    """

    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._extra = extra

    @property
    def workspace_id(self) -> int | None:
        """The workspace that is read unless a task names another."""
        return self._field("workspace_id", _id, None)

    @property
    def organization_id(self) -> int | None:
        """The organization whose hourly quota is charged; None: the workspace's."""
        return self._field("organization_id", _id, None)

    @property
    def webhook_secret(self) -> str:
        """What deliveries are signed with; empty: none."""
        return self._field("webhook_secret", _text, "")

    @property
    def previous_webhook_secret(self) -> str:
        """What deliveries may still be signed with while a secret is being changed; empty: none."""
        return self._field("previous_webhook_secret", _text, "")

    @property
    def webhook_callback_url(self) -> str:
        """Where Toggl is to deliver events to; empty: nowhere."""
        return self._field("webhook_callback_url", _text, "")

    @property
    def event_store_conn_id(self) -> str:
        """The connection of the database that keeps received events; empty: the default store."""
        return self._field("event_store_conn_id", _text, "")

    @property
    def quota_reserve(self) -> int:
        """Requests of each hourly quota that tasks leave to people and other tools."""
        return self._field("quota_reserve", lambda value: _whole(value, 0, 1_000_000), 2)

    @property
    def requests_per_second(self) -> float:
        """The pace of all processes of one host that share the token."""
        return self._field("requests_per_second", lambda value: _number(value, 0, 1000, above=True), 1.0)

    @property
    def allow_plain_http(self) -> bool:
        """Whether the token may be sent unencrypted over a network."""
        return self._field("allow_plain_http", _flag, False)

    @property
    def webhook_validation(self) -> str:
        """Whether the receiver answers a validation PING with its code (``synchronous``) or keeps it."""
        return self._field("webhook_validation", _validation, "synchronous")

    def read_all(self) -> dict[str, Any]:
        """Return every field by its name.

        :raises ConfigurationError: some cannot be read; the message names each.
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

    def _field(self, name: str, read: Callable[[Any], T], default: T) -> T:
        value = self._extra.get(name)
        if _is_blank(value):
            return default
        shown = "***" if name in _SECRETS else repr(value)
        try:
            return read(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{name} is {shown}; it must be {error} (in the extra of connection {self._conn_id!r})."
            ) from None


#: The names of all fields in the extra of a Toggl connection.
FIELDS = tuple(name for name, value in vars(TogglFields).items() if isinstance(value, property))
_SECRETS = frozenset(("webhook_secret", "previous_webhook_secret"))


# -- reading -----------------------------------------------------------------------------------------------------------


def _option(name: str, read: Callable[[Any], T], default: T) -> T:
    try:
        value = conf.get(SECTION, name, fallback=None)
    except AirflowConfigException as error:
        # For example a % in airflow.cfg that is not doubled.
        raise ConfigurationError(f"[{SECTION}] {name} cannot be read: {error}.") from None
    if _is_blank(value):
        return default
    try:
        return read(value)
    except ValueError as error:
        raise ConfigurationError(f"[{SECTION}] {name} is {value!r}; it must be {error}.") from None


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


# Each reader returns the value or raises a ValueError that says what is allowed.


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("a text")  # noqa: TRY004 - see above
    return str(value).strip()


def _path(value: Any) -> Path:
    return Path(os.path.expandvars(str(value).strip())).expanduser()


def _names(value: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in str(value).split(",") if name.strip()))


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def _whole(value: Any, least: int, most: int) -> int:
    allowed = f"a whole number from {least:,} to {most:,}"
    if isinstance(value, bool):
        raise ValueError(allowed)  # noqa: TRY004 - see above
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if not (text.isascii() and text.removeprefix("+").isdigit()) or not least <= int(text) <= most:
        raise ValueError(allowed)
    return int(text)


def _id(value: Any) -> int:
    try:
        return _whole(value, 1, _LARGEST_ID)
    except ValueError:
        raise ValueError("an ID, a whole number above 0") from None


def _number(value: Any, least: float, most: float, *, above: bool = False) -> float:
    allowed = f"a number {'above' if above else 'from'} {least:,} {'and up to' if above else 'to'} {most:,}"
    text = str(value).strip()
    try:
        # float() also takes 1_000 and digits of other scripts.
        number = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        raise ValueError(allowed) from None
    if not least <= number <= most or (above and number == least):
        raise ValueError(allowed)
    return number


def _validation(value: Any) -> str:
    word = str(value).strip().lower()
    if word not in ("synchronous", "asynchronous"):
        raise ValueError("synchronous or asynchronous")
    return word
