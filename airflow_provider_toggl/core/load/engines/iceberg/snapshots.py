"""Snapshots: which of a table's data files count, written so that a catalog can switch to them at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
    write_manifest_list,
)
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH, SnapshotRefType
from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotSummaryCollector, Summary, update_snapshot_summaries
from pyiceberg.table.update import (
    AddSnapshotUpdate,
    AssertRefSnapshotId,
    AssertTableUUID,
    RemoveSnapshotsUpdate,
    SetSnapshotRefUpdate,
    TableRequirement,
    TableUpdate,
)

from airflow_provider_toggl.core.load.engines.iceberg.files import LiveFile

KEPT_SNAPSHOTS = 50
"""Earlier snapshots of a table that stay, so that its metadata stays small under a load every few seconds."""

_MOST_MANIFESTS = 30
"""Manifests after which the small ones are written as one."""
_SMALL_MANIFEST = 1000


def build_snapshot(
    table: Table,
    base: Snapshot | None,
    live: Sequence[LiveFile],
    added: Sequence[DataFile],
    removed: Sequence[LiveFile],
    *,
    properties: Mapping[str, str],
) -> Snapshot:
    """Write the manifests of a snapshot; it counts when a catalog has it.

    :param base: the snapshot that it follows.
    :param live: the data files of the base.
    :param added: new data files.
    :param removed: data files of the base that no longer count.
    :param properties: what else its summary says.
    """
    id_ = table.metadata.new_snapshot_id()
    manifests = list(base.manifests(table.io)) if base else []
    gone = {file.path for file in removed}
    rewritten = {file.manifest for file in removed} | _find_small(manifests)
    entries = [_entry(ManifestEntryStatus.ADDED, id_, file) for file in added]
    for file in live:
        if file.path in gone:
            entries.append(_entry(ManifestEntryStatus.DELETED, id_, file.entry.data_file, file.entry))
        elif file.manifest in rewritten:
            entries.append(
                _entry(ManifestEntryStatus.EXISTING, file.entry.snapshot_id, file.entry.data_file, file.entry)
            )
    kept = [one for one in manifests if one.manifest_path not in rewritten and _has_live_files(one)]
    path = table.location_provider().new_metadata_location(f"snap-{id_}-0-{uuid.uuid4()}.avro")
    sequence_number = table.metadata.next_sequence_number()
    with write_manifest_list(
        format_version=table.metadata.format_version,
        output_file=table.io.new_output(path),
        snapshot_id=id_,
        parent_snapshot_id=base.snapshot_id if base else None,
        sequence_number=sequence_number,
        avro_compression="deflate",
    ) as writer:
        writer.add_manifests([*_write_manifests(table, id_, entries), *kept])
    return Snapshot(
        snapshot_id=id_,
        parent_snapshot_id=base.snapshot_id if base else None,
        manifest_list=path,
        sequence_number=sequence_number,
        summary=_summarise(table, base, added, removed, properties),
        schema_id=table.metadata.current_schema_id,
    )


def add_snapshot(snapshot: Snapshot) -> list[TableUpdate]:
    """Return the change of metadata that makes a snapshot known, without making it current."""
    return [AddSnapshotUpdate(snapshot=snapshot)]


def make_current(table: Table, snapshot_id: int, added: Snapshot | None = None) -> list[TableUpdate]:
    """Return the changes of metadata that make a snapshot current, and forget the oldest ones now and then."""
    updates: list[TableUpdate] = add_snapshot(added) if added else []
    updates.append(SetSnapshotRefUpdate(ref_name=MAIN_BRANCH, type=SnapshotRefType.BRANCH, snapshot_id=snapshot_id))
    old = find_old(table, KEPT_SNAPSHOTS, snapshot_id) if len(table.metadata.snapshots) > 2 * KEPT_SNAPSHOTS else []
    if old:
        updates.append(RemoveSnapshotsUpdate(snapshot_ids=old))
    return updates


def find_old(table: Table, kept: int, *needed: int) -> list[int]:
    """Return the snapshots beyond the latest ones that no branch or tag names."""
    ids = [one.snapshot_id for one in sorted(table.metadata.snapshots, key=lambda one: one.sequence_number or 0)]
    named = {ref.snapshot_id for ref in table.metadata.refs.values()} | set(needed)
    return [id_ for id_ in ids[: max(0, len(ids) - kept)] if id_ not in named]


def require_current(table: Table, snapshot: Snapshot | None) -> tuple[TableRequirement, ...]:
    """Return the condition that a table's current snapshot is still this one."""
    id_ = snapshot.snapshot_id if snapshot else None
    return (AssertTableUUID(uuid=table.metadata.table_uuid), AssertRefSnapshotId(ref=MAIN_BRANCH, snapshot_id=id_))


def descends(table: Table, snapshot: Snapshot | None, ancestor: Snapshot) -> bool:
    """Return whether a snapshot is another one or was made from it."""
    current = snapshot
    while current is not None:
        if current.snapshot_id == ancestor.snapshot_id:
            return True
        parent_id = current.parent_snapshot_id
        current = table.metadata.snapshot_by_id(parent_id) if parent_id is not None else None
    return False


def _find_small(manifests: Sequence[ManifestFile]) -> set[str]:
    """Return the small manifests, once there are many."""
    if len(manifests) < _MOST_MANIFESTS:
        return set()
    return {
        one.manifest_path
        for one in manifests
        if one.content == ManifestContent.DATA
        and (one.added_files_count or 0) + (one.existing_files_count or 0) < _SMALL_MANIFEST
    }


def _has_live_files(manifest: ManifestFile) -> bool:
    return bool(manifest.has_added_files() or manifest.has_existing_files())


def _entry(
    status: ManifestEntryStatus, snapshot_id: int | None, file: DataFile, before: ManifestEntry | None = None
) -> ManifestEntry:
    return ManifestEntry.from_args(
        status=status,
        snapshot_id=snapshot_id,
        sequence_number=before.sequence_number if before else None,
        file_sequence_number=before.file_sequence_number if before else None,
        data_file=file,
    )


def _write_manifests(table: Table, snapshot_id: int, entries: Sequence[ManifestEntry]) -> list[ManifestFile]:
    """Write the entries, in one manifest for each way of partitioning."""
    written = []
    for spec_id in sorted({entry.data_file.spec_id for entry in entries}):
        path = table.location_provider().new_metadata_location(f"{uuid.uuid4()}-m0.avro")
        with write_manifest(
            format_version=table.metadata.format_version,
            spec=table.metadata.specs()[spec_id],
            schema=table.schema(),
            output_file=table.io.new_output(path),
            snapshot_id=snapshot_id,
            avro_compression="deflate",
        ) as writer:
            for entry in entries:
                if entry.data_file.spec_id == spec_id:
                    writer.add_entry(entry)
        written.append(writer.to_manifest_file())
    return written


def _summarise(
    table: Table,
    base: Snapshot | None,
    added: Sequence[DataFile],
    removed: Sequence[LiveFile],
    properties: Mapping[str, str],
) -> Summary:
    collector = SnapshotSummaryCollector()
    specs, schema = table.metadata.specs(), table.schema()
    for file in added:
        collector.add_file(file, schema, specs[file.spec_id])
    for old in removed:
        collector.remove_file(old.entry.data_file, schema, specs[old.entry.data_file.spec_id])
    operation = Operation.OVERWRITE if removed else Operation.APPEND
    return update_snapshot_summaries(
        Summary(operation, **collector.build(), **properties), base.summary if base and base.summary else None
    )
