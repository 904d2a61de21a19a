"""Reads what manifests publish: which files, which rows, and which files nobody published."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.files.manifest import (
    Manifest,
    decode_manifest,
    manifest_folder,
    manifest_number,
    written_at,
)
from airflow_provider_toggl.core.files.storage import Storage
from airflow_provider_toggl.core.load.values import Sweep
from airflow_provider_toggl.core.streams import get_stream

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_toggl.core.load.decode.records import RecordBatch
    from airflow_provider_toggl.core.load.warehouse import Warehouse

READERS = 8
"""So many manifests are read at once."""

LOAD_ROWS = 100_000
"""About so many rows are loaded at once."""

SHORTEST_AGE = timedelta(hours=2)
"""Younger files are never deleted: a task may be about to publish them."""


def find_last_manifest(storage: Storage, stream: str, scope: str) -> Manifest | None:
    """Return the manifest with the greatest number, None if there is none."""
    folder = manifest_folder(stream, scope)
    names = [name for name in storage.list_names(folder) if manifest_number(name) is not None]
    return _read_manifest(storage, max(names)) if names else None


def list_manifests(
    storage: Storage, stream: str, *, workspace_id: int | None = None, scope: str | None = None, after: int = 0
) -> list[Manifest]:
    """Return the manifests of a stream, by scope and number.

    :param workspace_id: only those of this workspace.
    :param scope: only those of this scope: a workspace, or a fixed range of its days.
    :param after: only those with a greater number, for a reader that knows the others of the scope.
    """
    get_stream(stream)
    folder = f"{stream}/_manifests" if scope is None else manifest_folder(stream, scope)
    numbers = {name: manifest_number(name) for name in storage.list_names(folder)}
    wanted = sorted(name for name, number in numbers.items() if number is not None and number > after)
    with ThreadPoolExecutor(READERS, "toggl-files") as threads:
        found = list(threads.map(lambda name: _read_manifest(storage, name), wanted))
    return [one for one in found if workspace_id is None or one.workspace_id == workspace_id]


def load_files(storage: Storage, stream: str, target: Warehouse, *, workspace_id: int | None = None) -> None:
    """Load the published files of a stream into a warehouse, in their order.

    What a complete list lacks is marked absent, without a limit.
    """
    for batches, sweep in _batches(storage, stream, workspace_id):
        target.load(batches, sweep=sweep)


def read_rows(storage: Storage, stream: str, *, workspace_id: int | None = None) -> pa.Table:
    """Return the current rows of a stream, one for each id: those that a warehouse would have.

    They are merged in a DuckDB file that is deleted afterwards, so the rule is the same.

    :return: all columns of the stream's table, ordered by id.
    """
    from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse  # noqa: PLC0415 - only readers need DuckDB

    name = get_stream(stream).name
    with (
        tempfile.TemporaryDirectory(prefix="toggl-files-") as folder,
        build_duckdb_warehouse(Path(folder) / "rows.duckdb") as target,
    ):
        load_files(storage, stream, target, workspace_id=workspace_id)
        return target.query(f'select * from "{name}" order by "id"')  # noqa: S608 - the name of a stream


def remove_unpublished(
    storage: Storage, stream: str, now: datetime, older_than: timedelta = timedelta(days=1)
) -> list[str]:
    """Delete the data files of a stream that no manifest names, and return their names.

    Attempts that ended between a file and its manifest leave such files. Other files are never deleted.

    :param now: by the clock of the hosts that write.
    :param older_than: how long ago a file must have been written; at least ``SHORTEST_AGE``.
    :raises ConfigurationError: ``older_than`` is shorter.
    """
    if older_than < SHORTEST_AGE:
        raise ConfigurationError(
            f"older_than is {older_than}; it must be at least {SHORTEST_AGE}, because younger files may be about to "
            "be published."
        )
    # Listed before the manifests are: what is published later is not in this list, or young.
    names = storage.list_names(get_stream(stream).name)
    named = {file.path for one in list_manifests(storage, stream) for file in (*one.files, *one.rejected)}
    old = []
    for name in names:
        moment = written_at(name)
        if moment is not None and moment < now - older_than and name not in named:
            old.append(name)
    storage.delete(old)
    return old


def _batches(
    storage: Storage, stream: str, workspace_id: int | None
) -> Iterator[tuple[list[RecordBatch], Sweep | None]]:
    from airflow_provider_toggl.core.files.encoding import decode_rows  # noqa: PLC0415 - listing files needs no pyarrow
    from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS  # noqa: PLC0415 - as above
    from airflow_provider_toggl.core.load.decode.records import Observation, RecordBatch  # noqa: PLC0415 - as above

    waiting: list[RecordBatch] = []
    for manifest in list_manifests(storage, stream, workspace_id=workspace_id):
        observation = Observation(manifest.workspace_id, manifest.observed_at)
        waiting += [
            decode_rows(stream, storage.read(file.path), manifest.format, observation) for file in manifest.files
        ]
        if manifest.complete_at is not None:
            # A list may be complete and empty.
            nothing = RecordBatch(stream, ARROW_SCHEMAS[stream].empty_table())
            yield [*waiting, nothing], Sweep(manifest.workspace_id, manifest.complete_at, limit_share=1.0)
            waiting = []
        elif sum(batch.rows for batch in waiting) > LOAD_ROWS:
            yield waiting, None
            waiting = []
    if waiting:
        yield waiting, None


def _read_manifest(storage: Storage, name: str) -> Manifest:
    return decode_manifest(storage.read(name), f"{storage.url}/{name}")
