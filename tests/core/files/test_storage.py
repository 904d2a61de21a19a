from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.storage import LocalStorage, ObjectStorage, Storage, translated_errors


class WithStatus(Exception):
    def __init__(self, status: Any) -> None:
        super().__init__("https://bucket.example/?signature=secret-word")
        self.status_code = status


class NoCredentialsError(Exception):
    """As botocore's."""


@pytest.fixture(params=["local", "objects"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "local":
        yield LocalStorage(tmp_path / "files")
        return
    root = f"/{uuid.uuid4().hex}"
    yield ObjectStorage(MemoryFileSystem(), root, f"memory:/{root}")


def test_what_is_written_is_read_listed_and_deleted(storage: Storage) -> None:
    assert storage.list_names("tags") == []
    storage.write("tags/day=1/a.parquet", b"rows")
    storage.write("tags/b.json", b"{}")
    assert storage.read("tags/day=1/a.parquet") == b"rows"
    assert storage.list_names("tags") == ["tags/b.json", "tags/day=1/a.parquet"]
    storage.delete(["tags/b.json", "tags/nothing"])
    assert storage.list_names("tags") == ["tags/day=1/a.parquet"]


def test_a_deletion_that_is_refused_says_of_what(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(MemoryFileSystem, "rm_file", refuse)
    with pytest.raises(errors.TogglError, match=r"Could not delete tags/b\.json in memory://x"):
        ObjectStorage(MemoryFileSystem(), "/x", "memory://x").delete(["tags/b.json"])


def test_a_file_is_created_once(storage: Storage) -> None:
    assert storage.create("tags/one.json", b"first")
    assert storage.create("tags/one.json", b"first"), "a repeated request is the same creation"
    assert not storage.create("tags/one.json", b"second")
    assert storage.read("tags/one.json") == b"first"
    assert storage.list_names("tags") == ["tags/one.json"]


def test_a_local_file_is_on_the_disk_when_its_write_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []

    def record(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append((found.st_ino, found.st_size))

    monkeypatch.setattr(os, "fsync", record)
    LocalStorage(tmp_path).write("a.json", b"rows")
    assert synced[0] == ((tmp_path / "a.json").stat().st_ino, 4)
    assert synced[-1][0] == tmp_path.stat().st_ino


def test_a_clean_up_may_take_the_temporary_file_of_a_creation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Path.hardlink_to

    def link_and_clean_up(path: Path, temporary: Path) -> None:
        link(path, temporary)
        temporary.unlink()

    monkeypatch.setattr(Path, "hardlink_to", link_and_clean_up)
    assert LocalStorage(tmp_path).create("one.json", b"first")


def test_a_creation_whose_response_was_lost_counts() -> None:
    class Lossy(MemoryFileSystem):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
            super().pipe_file(path, value, mode=mode, **options)
            raise TimeoutError

    assert ObjectStorage(Lossy(), f"/{uuid.uuid4().hex}", "memory://x").create("one.json", b"first")


def test_a_creation_that_failed_is_an_error_and_leaves_nothing() -> None:
    class Failing(MemoryFileSystem):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
            raise TimeoutError

    storage = ObjectStorage(Failing(), f"/{uuid.uuid4().hex}", "memory://x")
    with pytest.raises(errors.FileStorageError, match=r"Could not create one\.json in memory://x \(TimeoutError\)"):
        storage.create("one.json", b"first")
    assert storage.list_names("") == []


def test_a_library_that_would_overwrite_is_refused() -> None:
    class Old(MemoryFileSystem):
        def pipe_file(self, path: str, value: bytes, **options: Any) -> None:  # type: ignore[override]
            """Take any option, and ignore it."""

    with pytest.raises(errors.ConfigurationError, match="Upgrade s3fs or gcsfs"):
        ObjectStorage(Old(), "/x", "s3://x")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError(13, "Permission denied"), errors.ConfigurationError, "The access is denied"),
        (WithStatus(403), errors.ConfigurationError, r"status 403.*The access is denied"),
        (WithStatus("401"), errors.ConfigurationError, "The access is denied"),
        (NoCredentialsError("secret-word"), errors.ConfigurationError, "Check the credentials of the storage"),
        (OSError("Forbidden: https://x/?key=secret-word"), errors.ConfigurationError, "The access is denied"),
        (FileNotFoundError("no bucket"), errors.ConfigurationError, "the bucket or container exists"),
        (OSError(28, "No space left on device"), errors.FileStorageError, "No space left on device"),
        (WithStatus(503), errors.FileStorageError, "status 503.* Try again"),
        (RuntimeError("secret-word"), errors.FileStorageError, r"\(RuntimeError\)"),
    ],
)
def test_an_error_of_a_library_says_what_to_do_and_shows_no_secret(
    error: Exception, kind: type[errors.TogglError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught, translated_errors("s3://bucket", "write x"):
        raise error
    assert "secret-word" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "tags").mkdir(parents=True)
    (folder / "tags" / "inner").write_text("")
    if os.geteuid() == 0:
        (folder / "tags").rename(folder / "moved")
        (folder / "tags").write_text("a file")
        with pytest.raises(errors.TogglError, match="Could not list tags/inner"):
            LocalStorage(folder).list_names("tags/inner")
        return
    (folder / "tags").chmod(0)
    with pytest.raises(errors.ConfigurationError, match="Could not list tags"):
        LocalStorage(folder).list_names("tags")
