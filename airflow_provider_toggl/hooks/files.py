"""The files that ``TogglToFilesOperator`` writes: open where they are, list and read them, and clean up."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow.sdk import ObjectStoragePath

from airflow_provider_toggl.core.arguments import (
    parse_id,
    parse_seconds,
    parse_storage_url,
    parse_stream,
    parse_text,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.files.storage import LocalStorage, ObjectStorage, Storage, translated_errors
from airflow_provider_toggl.hooks.connections import get_connection

if TYPE_CHECKING:
    import pyarrow as pa

_PROVIDERS = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "g": "apache-airflow-providers-google, gcsfs",
    "a": "apache-airflow-providers-microsoft-azure, adlfs",
}
"""What must be installed for a scheme, by its beginning."""


def open_storage(path: Any, storage_conn_id: str | None = None) -> Storage:
    """Return the storage of a path. It opens no connection yet, except to look up credentials.

    :param path: an ``ObjectStoragePath``, its URL, or an absolute path of this host.
    :param storage_conn_id: the Airflow connection of the object store; by default the one in the URL
        (``s3://conn_id@bucket/folder``), or without one the credentials of the environment.
    :raises ConfigurationError: the path is not valid, the connection does not exist, or the provider is not installed.
    """
    url = required(parse_storage_url)("path", path)
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return LocalStorage(Path(unquote(rest)))
    conn_id, _, place = rest.rpartition("@")
    conn_id = storage_conn_id or conn_id
    if conn_id:
        get_connection(conn_id, parameter="storage_conn_id")
    name = f"{scheme}://{place}"
    try:
        with translated_errors(name, "open the file system"):
            found = ObjectStoragePath(name, conn_id=conn_id or None)
            return ObjectStorage(_file_system_of(found, scheme), found.path, name)
    except ImportError as error:
        raise _not_installed(scheme, error) from None


def list_files(
    path: Any,
    stream: str,
    *,
    storage_conn_id: str | None = None,
    workspace_id: int | None = None,
    scope: str | None = None,
    after: int = 0,
) -> list[str]:
    """Return the URLs of the published data files of a stream, oldest first, without a connection in them.

    :param path: as the operator's.
    :param workspace_id: only files of this workspace.
    :param scope: only files of this scope, see the extra of the asset event.
    :param after: with a scope: only files of manifests with a greater number, likewise.
    :raises FileStorageError: a manifest cannot be read.
    """
    from airflow_provider_toggl.core.files.reading import list_manifests  # noqa: PLC0415 - parsing a DAG needs none of it

    storage = open_storage(path, storage_conn_id)
    found = list_manifests(
        storage,
        required(parse_stream)("stream", stream),
        workspace_id=parse_id("workspace_id", workspace_id),
        scope=parse_text("scope", scope),
        after=parse_whole("after", after, minimum=0) or 0,
    )
    return [f"{storage.url}/{file.path}" for manifest in found for file in manifest.files]


def read_files(
    path: Any, stream: str, *, storage_conn_id: str | None = None, workspace_id: int | None = None
) -> pa.Table:
    """Return the current rows of a stream by its files, one for each id, as an Arrow table.

    Columns and values are those of the warehouse's table. The rows are merged in a temporary DuckDB file.

    :param path: as the operator's.
    :param workspace_id: only rows of this workspace.
    :raises FileStorageError: a file cannot be read.
    """
    from airflow_provider_toggl.core.files.reading import read_rows  # noqa: PLC0415 - parsing a DAG needs none of it

    storage = open_storage(path, storage_conn_id)
    return read_rows(
        storage, required(parse_stream)("stream", stream), workspace_id=parse_id("workspace_id", workspace_id)
    )


def remove_unpublished_files(
    path: Any,
    stream: str,
    *,
    storage_conn_id: str | None = None,
    older_than: timedelta | float = timedelta(days=1),
) -> list[str]:
    """Delete the data files that no manifest names, which interrupted tasks leave; return their names.

    :param path: as the operator's.
    :param older_than: how long ago a file must have been written, two hours at least; in seconds, or a ``timedelta``.
    :raises ConfigurationError: ``older_than`` is shorter.
    """
    from airflow_provider_toggl.core.files.reading import remove_unpublished  # noqa: PLC0415 - parsing a DAG needs none of it

    age = timedelta(seconds=required(parse_seconds)("older_than", older_than))
    storage = open_storage(path, storage_conn_id)
    return remove_unpublished(storage, required(parse_stream)("stream", stream), datetime.now(timezone.utc), age)


def _file_system_of(path: ObjectStoragePath, scheme: str) -> Any:
    try:
        return path.fs
    except ValueError as error:
        if "No filesystem registered" in str(error):
            raise _not_installed(scheme, error) from None
        raise


def _not_installed(scheme: str, error: Exception) -> ConfigurationError:
    wanted = next(names for start, names in _PROVIDERS.items() if scheme.startswith(start))
    return ConfigurationError(
        f"Airflow cannot open {scheme}:// ({type(error).__name__}). Install on the workers: {wanted}."
    )
