"""Where files are: a folder of this host, or a place in an object store. Paths are relative to it."""

from __future__ import annotations

import inspect
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from airflow_provider_toggl.core.errors import ConfigurationError, FileStorageError, TogglError
from airflow_provider_toggl.core.files.manifest import file_name

_DENIED_STATUS = {401, 403}
_DENIED_NAMES = {
    # google-auth, azure-identity and azure-core, botocore
    "ClientAuthenticationError",
    "CredentialRetrievalError",
    "CredentialUnavailableError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "RefreshError",
    "TokenRetrievalError",
}


class Storage(Protocol):
    """Files below one URL. Several threads may use it at once.

    Every method may wait for a network, and raises ``FileStorageError``.

    Where the access is denied, or the bucket is missing, it raises ``ConfigurationError``.
    """

    url: str

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a name that nobody else uses; it is complete and durable when this returns."""

    def create(self, name: str, data: bytes) -> bool:
        """Create a file in one step, so that a reader never sees a part of it.

        :param data: different for every caller.
        :return: False if the file exists with other content; it stays as it is.
        """

    def read(self, name: str) -> bytes:
        """Return the content of a file."""

    def list_names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder; none if it does not exist."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; those that do not exist are ignored."""


class LocalStorage:
    """A folder of a local or a mounted file system. It is created when the first file is written.

    :param folder: an absolute path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = folder.as_uri()

    def write(self, name: str, data: bytes) -> None:
        """Write a file, and wait until it is on the disk."""
        with translated_errors(self.url, f"write {name}"):
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(path.parent)

    def create(self, name: str, data: bytes) -> bool:
        """Create a file by a hard link, which fails if the name exists, to one that is complete."""
        path = self._folder / name
        # Named like a data file, so that a clean-up finds it after a kill.
        temporary = file_name(str(PurePosixPath(name).parent), datetime.now(timezone.utc), uuid.uuid4().hex, "tmp")
        self.write(temporary, data)
        with translated_errors(self.url, f"create {name}"):
            try:
                path.hardlink_to(self._folder / temporary)
                _sync_folder(path.parent)
            except FileExistsError:
                return path.read_bytes() == data
            finally:
                (self._folder / temporary).unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with translated_errors(self.url, f"read {name}"):
            return (self._folder / name).read_bytes()

    def list_names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder."""
        found = []
        with translated_errors(self.url, f"list {folder}"):
            # An error is raised, so that what cannot be listed does not pass for nothing.
            for parent, _, names in os.walk(self._folder / folder, onerror=_raise_unless_missing):
                found += [(Path(parent) / name).relative_to(self._folder).as_posix() for name in names]
        return sorted(found)

    def delete(self, names: Iterable[str]) -> None:
        """Delete files."""
        for name in names:
            with translated_errors(self.url, f"delete {name}"):
                (self._folder / name).unlink(missing_ok=True)


class ObjectStorage:
    """A place in an object store that creates objects atomically and only if they do not exist.

    S3 does so by ``If-None-Match``, Google Cloud Storage by ``ifGenerationMatch=0`` and Azure by refusing to overwrite;
    s3fs, gcsfs and adlfs have that as ``mode="create"`` of ``pipe_file`` (fsspec's interface).

    :param filesystem: of s3fs, gcsfs or adlfs.
    :param root: bucket and folder, as the file system takes them.
    :param url: how errors and assets name it; without credentials.
    :raises ConfigurationError: the file system is too old to create objects atomically.
    """

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self.url = url
        method = getattr(filesystem, "_pipe_file", filesystem.pipe_file)
        # s3fs before 2024.10 ignored an unknown mode, and would overwrite.
        kinds = inspect.signature(method).parameters
        if "mode" not in kinds and type(filesystem).__module__.split(".")[0] != "adlfs":
            raise ConfigurationError(
                f"The library of {url} cannot create files atomically, so two tasks could overwrite each other's. "
                "Upgrade s3fs or gcsfs, and fsspec, to 2024.10 or later."
            )

    def write(self, name: str, data: bytes) -> None:
        """Write an object; it is there as a whole or not at all."""
        with translated_errors(self.url, f"write {name}"):
            self._filesystem.pipe_file(self._path(name), data)

    def create(self, name: str, data: bytes) -> bool:
        """Create an object. If the outcome is unknown, what is stored there decides."""
        try:
            with translated_errors(self.url, f"create {name}"):
                self._filesystem.pipe_file(self._path(name), data, mode="create")
        except TogglError:
            # It exists, or its response was lost and the library sent the request again, or it failed.
            with suppress(Exception):
                return bytes(self._filesystem.cat_file(self._path(name))) == data
            raise
        return True

    def read(self, name: str) -> bytes:
        """Return the content of an object."""
        with translated_errors(self.url, f"read {name}"):
            return bytes(self._filesystem.cat_file(self._path(name)))

    def list_names(self, folder: str) -> list[str]:
        """Return the names of all objects below a folder."""
        with translated_errors(self.url, f"list {folder}"):
            self._filesystem.invalidate_cache()
            try:
                paths = self._filesystem.find(self._path(folder))
            except FileNotFoundError:
                return []
        start = len(self._filesystem._strip_protocol(self._root)) + 1  # noqa: SLF001 - fsspec has no public name for it
        return sorted(path[start:] for path in paths)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects."""
        for name in names:
            with translated_errors(self.url, f"delete {name}"), suppress(FileNotFoundError):
                self._filesystem.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


@contextmanager
def translated_errors(url: str, doing: str) -> Iterator[None]:
    """Raise errors of a file system as this package's.

    Texts of libraries are left out, because they may have signed URLs or parts of keys in them.

    :raises ConfigurationError: the access is denied, or the bucket is missing.
    :raises FileStorageError: something else failed.
    """
    try:
        yield
    except TogglError:
        raise
    except Exception as error:  # noqa: BLE001 - the libraries' errors have no base in common
        raise _translate(error, url, doing) from None


def _translate(error: Exception, url: str, doing: str) -> TogglError:
    reason = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        reason = f"{reason}, {os.strerror(error.errno)}"
    elif _status_of(error) is not None:
        reason = f"{reason}, status {_status_of(error)}"
    what = f"Could not {doing} in {url} ({reason})."
    if _is_denied(error):
        return ConfigurationError(
            f"{what} The access is denied. Check the credentials of the storage connection, and that they may list, "
            "read and write objects there; for a local path, that the worker's user may."
        )
    if isinstance(error, FileNotFoundError) and doing.startswith(("write", "create", "list")):
        return ConfigurationError(f"{what} Check that the bucket or container exists, and create it if not.")
    return FileStorageError(
        f"{what} What was published before is as it was. Try again; if it stays, look at the storage's own log."
    )


def _is_denied(error: Exception) -> bool:
    if isinstance(error, PermissionError) or _status_of(error) in _DENIED_STATUS:
        return True
    if any(base.__name__ in _DENIED_NAMES for base in type(error).__mro__):
        return True
    # gcsfs raises a plain OSError for status 403.
    return isinstance(error, OSError) and error.errno is None and str(error).startswith("Forbidden:")


def _status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error, under the names that libraries give it."""
    for name in ("status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
            return int(value)
    return None


def _sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
