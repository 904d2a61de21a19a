"""What an Airflow connection may say about DuckDB sessions: settings and extensions."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

OWN_SETTINGS: dict[str, str | int | bool] = {
    "preserve_insertion_order": False,
    # Another session of this process may have set these for all.
    "default_order": "ASC",
    "default_null_order": "NULLS LAST",
    "default_collation": "",
    "integer_division": False,
    "ieee_floating_point_ops": True,
    # All that is used is built in; a warehouse must not depend on a download. A connection may set these two.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "TimeZone": "UTC",
}
"""What every session sets."""

_MAY_BE_SET = {"autoinstall_known_extensions", "autoload_known_extensions"}
# null_order is DuckDB's other name of default_null_order; the current schema is that of the tables.
_RESERVED = {name.lower() for name in OWN_SETTINGS} - _MAY_BE_SET | {"null_order", "schema", "search_path"}
# Where extensions come from; all others may be settings of an extension, which are unknown until it is loaded.
_BEFORE_EXTENSIONS = frozenset(
    (
        "allow_community_extensions",
        "allow_extensions_metadata_mismatch",
        "autoinstall_extension_repository",
        "custom_extension_repository",
        "extension_directory",
        "http_proxy",
        "http_proxy_password",
        "http_proxy_username",
    )
)
_TEMP = "temp_directory"
# No setting can be changed after this one.
_LAST = "lock_configuration"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class DuckdbOptions:
    """Settings and extensions of every session, beside those of this package.

    :param settings: settings by name, in DuckDB's own terms. Values are texts, numbers, flags, or lists of these.
    :param extensions: names of extensions to load, in this order.
    :param may_install: whether an extension that is not installed may be downloaded.
    :param source: the connection that has them in its extra, for errors, such as "connection 'x'".
    :raises ConfigurationError: a setting is one of this package's, or a name or value cannot be one.
    """

    # Values may be secrets, such as http_proxy_password.
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    extensions: tuple[str, ...] = ()
    may_install: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be written into a statement, or would change what a load does."""
        where = f"The extra of {self.source}"
        names = [*self.extensions, *self.settings]
        if wrong := [name for name in names if not _NAME.fullmatch(name)]:
            raise ConfigurationError(
                f"{where} has {wrong[0]!r}; names of settings and extensions have only letters, digits and underscores."
            )
        for name, value in self.settings.items():
            if name.lower() in _RESERVED:
                raise ConfigurationError(
                    f"{where} sets {name!r}, which this package sets itself, because its statements rely on it. Remove "
                    "it."
                )
            if not all(isinstance(part, str | int | float) and "\0" not in str(part) for part in _parts(value)):
                raise ConfigurationError(
                    f"{where} sets {name!r} to a value that DuckDB cannot take: use a text, a number, true, false, or "
                    "a list of these."
                )

    def for_file(self, path: Path) -> DuckdbOptions:
        """Return these options with a folder of the file's own in ``temp_directory``, if they name one.

        Before version 2, DuckDB gives temporary files the same names in each process, so databases that share a folder
        overwrite each other's rows. One process at a time has a file open.
        """
        own = f"{path.name}-{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]}"
        settings = {
            name: str(Path(str(value)) / own) if name.lower() == _TEMP else value
            for name, value in self.settings.items()
        }
        return replace(self, settings=settings)


NO_OPTIONS = DuckdbOptions()


def configure(connection: duckdb.DuckDBPyConnection, options: DuckdbOptions) -> None:
    """Apply options to a session.

    Settings are set after opening, not passed to ``duckdb.connect``: DuckDB refuses a second connection of the same
    process that was opened with other settings.

    :raises ConfigurationError: DuckDB refuses a setting, or an extension cannot be loaded.
    :raises WarehouseError: an extension cannot be downloaded.
    """
    early = [name for name in options.settings if name.lower() in _BEFORE_EXTENSIONS]
    late = sorted((name for name in options.settings if name not in early), key=lambda name: name.lower() == _LAST)
    for name in early:
        _set(connection, name, options)
    for name in options.extensions:
        _load(connection, name, options)
    for name in late:
        _set(connection, name, options)


def write_setting(name: str, value: Any) -> str:
    """Return the statement that sets a setting."""
    return f"set {name} = {_write_value(value)}"


def _write_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_write_value, value))}]"
    return "'" + str(value).replace("'", "''") + "'"


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _set(connection: duckdb.DuckDBPyConnection, name: str, options: DuckdbOptions) -> None:
    value = options.settings[name]
    if name.lower() == _TEMP:
        # DuckDB creates the last folder itself. An error of the others becomes one of the first query that needs it.
        with suppress(OSError):
            Path(str(value)).parent.mkdir(parents=True, exist_ok=True)
    refusal = _find_refusal(connection, write_setting(name, value))
    if refusal:
        words = first_line(refusal)
        # DuckDB quotes some values, and one may be a secret.
        says = "" if any(str(part) in words for part in _parts(value)) else f" It says: {words}"
        raise ConfigurationError(
            f"DuckDB refuses the setting {name!r} in the extra of {options.source}. Correct it, or remove it. A "
            f"setting of an extension needs that extension in extensions.{says}"
        )


def _load(connection: duckdb.DuckDBPyConnection, name: str, options: DuckdbOptions) -> None:
    asked = f"the extension {name!r}, which the extra of {options.source} names"
    refusal = _find_refusal(connection, f"load {name}")
    if refusal and options.may_install:
        logger.info("Extension %s of DuckDB is not installed; DuckDB downloads it.", name)
        failure = _find_refusal(connection, f"install {name}")
        if failure:
            raise WarehouseError(
                f"DuckDB cannot download {asked}: {first_line(failure)} Check its name and this host's access to the "
                "internet, or install it when the image is built.",
                fault=DatabaseFault.UNREACHABLE,
            ) from failure
        refusal = _find_refusal(connection, f"load {name}")
    if refusal:
        cure = "" if options.may_install else ", or set autoinstall_extensions to true to download it in the task"
        raise ConfigurationError(
            f"DuckDB cannot load {asked}: {first_line(refusal)} Install it beforehand with the same version of DuckDB, "
            f"as the user that runs tasks or into extension_directory (`install {name}`){cure}. Remove it if nothing "
            "needs it."
        ) from refusal


def _find_refusal(connection: duckdb.DuckDBPyConnection, statement: str) -> duckdb.Error | None:
    """Run a statement and return DuckDB's error, None if it was carried out."""
    import duckdb  # noqa: PLC0415 - hooks import this module, and must not load DuckDB

    try:
        connection.execute(statement).fetchall()
    except duckdb.Error as error:
        return error
    return None
