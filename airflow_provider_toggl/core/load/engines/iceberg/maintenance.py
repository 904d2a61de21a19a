"""Maintenance of Iceberg tables: fewer and larger files, fewer snapshots, and no files that nothing refers to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow.fs as pa_fs
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from airflow_provider_toggl.core.load.engines.iceberg.files import (
    MOST_ROWS,
    LiveFile,
    native_file,
    read_files,
    write_files,
)
from airflow_provider_toggl.core.load.engines.iceberg.schemas import ALL_TABLES, FACTS
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES, StoredTable

log = logging.getLogger(__name__)

TRIES = 10
"""Times that rewritten files are committed while loads commit first; each takes a fraction of a second."""


@dataclass
class MaintenanceSummary:
    """What a maintenance did.

    :param rewritten_files: small files that were replaced.
    :param written_files: the files that replaced them.
    :param expired_snapshots: snapshots that were removed from the tables' metadata.
    :param orphan_files: files that nothing refers to; deleted, unless it was only asked for.
    :param orphan_bytes: their size.
    """

    rewritten_files: int = 0
    written_files: int = 0
    expired_snapshots: int = 0
    orphan_files: int = 0
    orphan_bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return it as a result of a task."""
        return asdict(self)


def maintain(
    store: IcebergStore,
    now: datetime,
    *,
    keep_snapshots: timedelta,
    keep_orphans: timedelta,
    delete_orphans: bool = True,
) -> MaintenanceSummary:
    """Rewrite small files, expire old snapshots, and delete files that nothing refers to.

    Loads may run at the same time.

    :param store: an open store with tables.
    :param keep_snapshots: age from which snapshots that are not current are removed.
    :param keep_orphans: age from which files that nothing refers to are deleted. A load that runs has written files
        that nothing refers to yet, so it must be longer than a load can take.
    :param delete_orphans: False only counts them.
    """
    summary = MaintenanceSummary()
    for stored in ROW_TABLES.values():
        _rewrite_small(store, stored, summary)
    for name in (*ALL_TABLES, FACTS):
        if name == FACTS and not store.has_table(FACTS):
            continue
        summary.expired_snapshots += store.expire(name, now - keep_snapshots)
        _remove_orphans(store, name, now - keep_orphans, summary, delete=delete_orphans)
    return summary


# Rewriting


def _rewrite_small(store: IcebergStore, stored: StoredTable, summary: MaintenanceSummary) -> None:
    """Replace the small files of each partition by as few as possible.

    The rows are written first, which may take long. Committing takes a moment, and is tried again while loads commit.
    """
    store.read_state()
    done: list[tuple[list[LiveFile], list[DataFile]]] = []
    for group in _group_small(store.list_live_files(stored)):
        rows = read_files(store.load_table(stored.name), group, stored, [c.name for c in stored.columns])
        done.append((group, list(write_files(store.load_table(stored.name), rows, stored))))
    for _ in range(TRIES if done else 0):
        store.read_state()
        live = {file.path for file in store.list_live_files(stored)}
        # A load has replaced files of the others meanwhile.
        valid = [(old, new) for old, new in done if all(file.path in live for file in old)]
        removed, added = [file for old, _ in valid for file in old], [file for _, new in valid for file in new]
        try:
            if removed:
                store.replace_files(stored, added, removed)
        except CommitConflict:
            continue
        summary.rewritten_files += len(removed)
        summary.written_files += len(added)
        return
    if done:
        log.warning(
            "The small files of table %s were not replaced: loads committed first, %d times. "
            "The next maintenance tries again; run it while fewer tasks load.",
            stored.name,
            TRIES,
        )


def _group_small(files: Sequence[LiveFile]) -> Iterator[list[LiveFile]]:
    """Yield groups of at least two small files of a partition that fit into one."""
    partitions: dict[Any, list[LiveFile]] = {}
    for file in files:
        if file.rows < MOST_ROWS / 2 or file.deletes:
            partitions.setdefault(str(file.entry.data_file.partition), []).append(file)
    for some in partitions.values():
        group: list[LiveFile] = []
        for file in sorted(some, key=lambda one: (one.low is None, one.low, one.path)):
            if group and sum(one.rows for one in group) + file.rows > MOST_ROWS:
                yield from [group] if _is_worth_it(group) else []
                group = []
            group.append(file)
        yield from [group] if _is_worth_it(group) else []


def _is_worth_it(group: Sequence[LiveFile]) -> bool:
    return len(group) > 1 or any(file.deletes for file in group)


# Files that nothing refers to


def _remove_orphans(
    store: IcebergStore, name: str, before: datetime, summary: MaintenanceSummary, *, delete: bool
) -> None:
    # Listed first: what is written and committed from now on is not in the list.
    table = store.load_table(name)
    system, folder = native_file(table.io.new_input(table.location()))
    found = system.get_file_info(pa_fs.FileSelector(folder, recursive=True, allow_not_found=True))
    table = store.load_table(name, again=True)
    needed = {native_file(table.io.new_input(path))[1] for path in _list_needed(table)}
    for file in found:
        if file.type != pa_fs.FileType.File or file.path in needed or file.mtime >= before:
            continue
        summary.orphan_files += 1
        summary.orphan_bytes += file.size or 0
        if delete:
            system.delete_file(file.path)


def _list_needed(table: Table) -> Iterator[str]:
    """Yield the addresses of all files that a table's metadata refers to."""
    yield table.metadata_location
    yield f"{table.metadata_location.rpartition('/')[0]}/version-hint.text"
    yield from (entry.metadata_file for entry in table.metadata.metadata_log)
    yield from (file.statistics_path for file in table.metadata.statistics)
    yield from (file.statistics_path for file in table.metadata.partition_statistics)
    seen: set[str] = set()
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in seen:
                seen.add(manifest.manifest_path)
                yield manifest.manifest_path
                yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
