"""Airflow connections to DuckDB as Apache's DuckDB provider defines them; the provider itself is not needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.arguments import (
    is_blank,
    parse_file,
    parse_flag,
    parse_text,
    parse_whole,
    parse_words,
    show_value,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.engines.duckdb.options import DuckdbOptions
from airflow_provider_toggl.hooks.connections import database_file, parse_database_file

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_MOTHERDUCK = ("md:", "motherduck:")
_SUFFIXES = (".duckdb", ".db")


def _parse_path(name: str, value: Any) -> str | None:
    path = parse_file(name, value)
    return None if path is None else str(path)


SETTINGS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    # Memory that DuckDB may use; by default `160MB`.
    "memory_limit": ("memory_limit", parse_text),
    # Cores that DuckDB may use; by default 1.
    "threads": ("threads", partial(parse_whole, minimum=1)),
    # Where DuckDB writes what does not fit in memory, in one folder for each file; by default beside the file.
    "temp_directory": ("temp_directory", _parse_path),
    # The folder of installed extensions; by default DuckDB's own.
    "extension_directory": ("extension_directory", _parse_path),
    # `true` downloads a missing extension in the task; by default it is an error.
    "autoinstall_extensions": ("autoinstall_known_extensions", parse_flag),
    # `true` lets a query load an installed extension that `extensions` does not name. By default `false`; in Apache's
    # hook it is `true`.
    "autoload_extensions": ("autoload_known_extensions", parse_flag),
}
"""By the name in the extra: the setting of DuckDB, and how its value is read.

The comment above a name is its row in the reference; likewise below.
"""

# What only decides about the SQL that Airflow's hook writes itself.
_FOR_THE_HOOK = frozenset(
    (
        "dialect",
        "escape_column_names",
        "escape_word_format",
        "insert_statement_format",
        "log_sql",
        "placeholder",
        "replace_statement_format",
    )
)
OTHERS = (
    # The path of the file; overrides the host.
    "database",
    # Refused: a database of MotherDuck has no file.
    "motherduck_token",
    # Extensions to load when the file is opened, for `read_df` and your own queries. Loads need none.
    "extensions",
    # `true` allows extensions from others than DuckDB's project. By default `false` if `extensions` names some.
    "allow_community_extensions",
    # `true` is refused: a load writes, and `read_df` creates missing tables.
    "read_only",
    # Other settings of DuckDB by name, such as `{"checkpoint_threshold": "64MB"}`. They override the fields above.
    "settings",
)
"""Further names in the extra."""


def parse_duckdb(connection: Connection) -> tuple[Path, DuckdbOptions]:
    """Return the file of a DuckDB connection, and what it says about sessions.

    Names and their precedence are those of ``DuckDBHook``: ``database`` in the extra comes before the host, and
    ``settings`` before the fields of the extra.

    :param connection: one that ``hooks.connections`` has resolved.
    :raises ConfigurationError: it names no file of this host, asks for what a warehouse cannot have, or has a field
        that is unknown or invalid.
    """
    extra = {name: value for name, value in connection.extra_dejson.items() if not is_blank(value)}
    _refuse_motherduck(connection, extra)
    return _find_file(connection, extra), _read_options(f"connection {connection.conn_id!r}", extra)


def _refuse_motherduck(connection: Connection, extra: dict[str, Any]) -> None:
    places = {"host": connection.host, "schema": connection.schema, "database in the extra": extra.get("database")}
    reasons = [name for name, value in places.items() if str(value).lower().startswith(_MOTHERDUCK)]
    reasons += ["password"] if connection.password else []
    reasons += ["motherduck_token in the extra"] if "motherduck_token" in extra else []
    if reasons:
        # Its values are not shown, because one of them is a token.
        raise ConfigurationError(
            f"Connection {connection.conn_id!r} is one to MotherDuck, by its {' and '.join(reasons)}. It "
            "cannot be loaded into: loads take turns at a lock beside the file, and a database of MotherDuck has no "
            "file. Remove these values and put the path of a DuckDB file into the host, or use a PostgreSQL "
            "connection. To have the tables in MotherDuck, copy them there after each load."
        )


def _find_file(connection: Connection, extra: dict[str, Any]) -> Path:
    name = connection.conn_id
    for field in ("login", "port"):
        if getattr(connection, field):
            raise ConfigurationError(
                f"Connection {name!r} has a {field}, which a DuckDB file does not have. Remove it, or correct the type "
                "of the connection."
            )
    if connection.schema and (connection.host or "database" in extra):
        raise ConfigurationError(
            f"Connection {name!r} has the schema {show_value(connection.schema)} beside the path of its file. That "
            "field is for a database of MotherDuck. Remove it: the schema of the tables is the parameter schema of the "
            "task. A URI of a file has three slashes: duckdb:///folder/file.duckdb."
        )
    if parse_flag(f"read_only in the extra of connection {name!r}", extra.get("read_only")):
        raise ConfigurationError(
            f"Connection {name!r} has read_only in its extra, and a warehouse is written to. Remove it, or use another "
            "connection for reading alone."
        )
    given = parse_database_file(f"database in the extra of connection {name!r}", extra.get("database"), "DuckDB")
    return given or database_file(connection, "DuckDB", suffixes=_SUFFIXES)


def _read_options(source: str, extra: dict[str, Any]) -> DuckdbOptions:
    unknown = sorted(extra.keys() - SETTINGS.keys() - _FOR_THE_HOOK - set(OTHERS))
    if unknown:
        raise ConfigurationError(
            f"The extra of {source} has {', '.join(map(repr, unknown))}, which a DuckDB connection does not have. "
            "Correct the name, remove it, or put it into settings if it is a setting of DuckDB."
        )

    def read(name: str, parse: Callable[[str, Any], Any]) -> Any:
        return parse(f"{name} in the extra of {source}", extra.get(name))

    settings = {setting: read(name, parse) for name, (setting, parse) in SETTINGS.items() if name in extra}
    extensions = read("extensions", parse_words) or ()
    may_use_community = read("allow_community_extensions", parse_flag)
    # Off by default, as in DuckDBHook. On is DuckDB's own default, and DuckDB refuses to set that.
    if not may_use_community and (extensions or may_use_community is False):
        settings["allow_community_extensions"] = False
    may_install = bool(settings.get("autoinstall_known_extensions"))
    given = extra.get("settings", {})
    if not isinstance(given, dict):
        # The value is not shown, because it may contain a secret.
        raise ConfigurationError(f'settings in the extra of {source} must be an object, such as {{"threads": 2}}.')
    settings |= {name: value for name, value in given.items() if not is_blank(value)}
    return DuckdbOptions(settings, tuple(dict.fromkeys(extensions)), may_install, source)
