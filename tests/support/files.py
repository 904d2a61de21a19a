"""Pull a workspace of the sandbox into files, and compare what their manifests publish with the truth."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from support.pulls import ShiftedClock, Workspace

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.files.encoding import FileFormat
from airflow_provider_toggl.core.files.pull import FilePull, FileSummary
from airflow_provider_toggl.core.files.reading import list_manifests, load_files
from airflow_provider_toggl.core.files.storage import LocalStorage, Storage
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.pull import PullRequest


class Died(BaseException):
    """Ends a run as a killed process does."""


class DyingStorage:
    """A storage whose process dies, or whose request fails, at a call.

    :param at: ``write`` or ``create``, and which of these calls it is, from 1.
    :param error: what the call raises.
    :param done: whether the call does its work before.
    """

    def __init__(self, storage: Storage, at: tuple[str, int], error: BaseException, *, done: bool = False) -> None:
        self._storage = storage
        self._at = at
        self._error = error
        self._done = done
        self._calls = {"write": 0, "create": 0}
        self.url = storage.url

    def write(self, name: str, data: bytes) -> None:
        self._call("write", name, data)

    def create(self, name: str, data: bytes) -> bool:
        return bool(self._call("create", name, data))

    def read(self, name: str) -> bytes:
        return self._storage.read(name)

    def list_names(self, folder: str) -> list[str]:
        return self._storage.list_names(folder)

    def delete(self, names: Iterable[str]) -> None:
        self._storage.delete(names)

    def _call(self, method: str, name: str, data: bytes) -> Any:
        self._calls[method] += 1
        is_due = self._at == (method, self._calls[method])
        if is_due and not self._done:
            raise self._error
        result = getattr(self._storage, method)(name, data)
        if is_due:
            raise self._error
        return result


def pull_files(
    workspace: Workspace,
    storage: Storage,
    stream: str = "time_entries",
    *,
    file_format: FileFormat = "parquet",
    **options: Any,
) -> FileSummary:
    """Pull one stream as a new run."""
    return build_pull(workspace, storage, stream, file_format=file_format, **options).run()


def build_pull(
    workspace: Workspace, storage: Storage, stream: str = "time_entries", *, file_format: FileFormat, **options: Any
) -> FilePull:
    """Return a run that has not begun."""
    request = workspace.request(stream, **options)
    return FilePull(workspace.session(), storage, request, file_format, clock=workspace.clock)


def wrong_files(workspace: Workspace, storage: Storage, *streams: str) -> list[str]:
    """Return how the published rows differ from the truth. They are loaded into the workspace's warehouse for that."""
    workspace.path.unlink(missing_ok=True)
    with build_duckdb_warehouse(workspace.path) as target:
        for stream in streams:
            load_files(storage, stream, target)
    return workspace.wrong(*streams, with_deletions=False)


def published_ids(storage: LocalStorage, stream: str = "time_entries") -> list[int]:
    """Return the id of each published row, also of rows that are published several times, in order."""
    folder = Path(storage.url.removeprefix("file://"))
    paths = [file.path for one in list_manifests(storage, stream) for file in one.files]
    # One file is no dataset: else the folder's name would be a column.
    return sorted(id_ for path in paths for id_ in pq.ParquetFile(folder / path).read()["id"].to_pylist())


def main(folder: str, url: str, token: str, workspace_id: str) -> None:
    """Pull the time entries in a process of its own, for a test that kills it; print a line before each file."""
    clock = ShiftedClock(float(os.environ["CLOCK_AHEAD"]))
    request = PullRequest(
        "time_entries",
        int(workspace_id),
        datetime.fromisoformat(os.environ["RUN_STARTED"]),
        page_size=20,
        attempt_key="killed",
        try_number=int(os.environ["TRY_NUMBER"]),
    )
    session = TogglSession(RequestsTransport(url, token, clock), RateLimitState(None, "test"), pace=Pace(200))
    print(FilePull(session, _PrintingStorage(Path(folder)), request, "parquet", clock=clock).run(), flush=True)


class _PrintingStorage(LocalStorage):
    """A storage that prints a line before each file."""

    def write(self, name: str, data: bytes) -> None:
        print(f"writes {name}", flush=True)
        super().write(name, data)


if __name__ == "__main__":
    main(*sys.argv[1:])
