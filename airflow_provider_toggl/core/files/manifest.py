"""Manifests: which files of a stream are published, and how far the stream is read. Pure.

Below the path of the files are, for each stream::

    time_entries/day=2026-01-31/20260201T060000Z-<random>.parquet     rows
    time_entries/_rejected/20260201T060000Z-<random>.jsonl            records that cannot be read
    time_entries/_manifests/7/0000000012.json                         what is published, of workspace 7

The manifests of a workspace (or of a fixed range of its days) are numbered without gaps. A manifest is created in one
step and never changes. So a file is published or not, and a reader of manifests up to a number always gets the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timezone

import msgspec

from airflow_provider_toggl.core.errors import ConfigurationError, FileStorageError

VERSION = 1
MOST_DAYS = 366
"""An asset event names at most so many days, the latest ones."""

_MANIFEST = re.compile(r"(?P<folder>.+/_manifests/[^/]+)/(?P<number>\d{10})\.json")
_OURS = re.compile(r"(?:.*/)?(?P<stamp>\d{8}T\d{6}Z)-[0-9a-f]{32}\.(?:parquet|jsonl|tmp)")
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class DataFile:
    """A file that a manifest publishes.

    :param path: relative to the path of all files.
    :param rows: rows, or lines.
    :param bytes: its size.
    :param day: the day of its folder; None for rejected records.
    """

    path: str
    rows: int
    bytes: int
    day: date | None = None


@dataclass(frozen=True)
class Unreported:
    """What is published and in no asset event yet.

    :param after: the number of the last manifest that an asset event reported.
    :param days: the latest days of the rows, in order, at most ``MOST_DAYS``.
    """

    after: int = 0
    rows: int = 0
    days: tuple[date, ...] = ()
    has_more_days: bool = False

    def plus(self, rows: int, days: Iterable[date], *, has_more_days: bool = False) -> Unreported:
        """Return it with more rows."""
        known = sorted({*self.days, *days})
        is_cut = self.has_more_days or has_more_days or len(known) > MOST_DAYS
        return Unreported(self.after, self.rows + rows, tuple(known[-MOST_DAYS:]), is_cut)


@dataclass(frozen=True)
class Reported:
    """What the task that ended last reported, so that a retry of it reports the same again.

    :param attempt: the attempt of that task, see ``cursor.Attempt``.
    """

    attempt: str
    what: Unreported


@dataclass(frozen=True)
class Manifest:
    """One publication: the files of a page, and the progress after it.

    :param scope: the workspace, and the days of a fixed range.
    :param number: its place among the manifests of this scope, from 1.
    :param id: random, so that no two tasks ever create equal manifests.
    :param format: of the data files: ``parquet`` or ``jsonl``.
    :param observed_at: the moment that the rows describe, by Toggl's clock, in UTC.
    :param published_at: by the clock of the task's host, in UTC.
    :param watermark: everything that changed before this moment is published; None while not known.
    :param cursor: where the next run goes on; opaque.
    :param complete_at: the end of a complete list: when reading it began. Rows that were not seen since then are gone.
    :param has_doubts: records of the list that is being read were rejected, so it will not count as complete.
    """

    stream: str
    workspace_id: int
    scope: str
    number: int
    id: str
    format: str
    observed_at: datetime
    published_at: datetime
    files: tuple[DataFile, ...]
    rejected: tuple[DataFile, ...]
    watermark: datetime | None
    cursor: str
    complete_at: datetime | None = None
    has_doubts: bool = False
    unreported: Unreported = Unreported()
    reported: Reported | None = None
    version: int = VERSION

    @property
    def rows(self) -> int:
        """The number of rows in its data files."""
        return sum(file.rows for file in self.files)


def encode_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as JSON."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(data: bytes, name: str) -> Manifest:
    """Return a manifest from its JSON.

    :param name: of the file, for errors.
    :raises ConfigurationError: a later version of this package wrote it.
    :raises FileStorageError: it is no manifest.
    """
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version <= VERSION:
            return msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise FileStorageError(
            f"{name} is not a manifest ({error}): someone changed it. Restore it from a backup. Without one, use "
            "another path: the next run then reads everything again."
        ) from None
    raise ConfigurationError(
        f"{name} has version {version}, and this version of the package reads {VERSION}. Upgrade the package."
    )


class _Versioned(msgspec.Struct):
    version: int


def manifest_folder(stream: str, scope: str) -> str:
    """Return the folder of the manifests of a scope."""
    return f"{stream}/_manifests/{scope.replace('/', '_')}"


def manifest_name(stream: str, scope: str, number: int) -> str:
    """Return the name of a manifest."""
    return f"{manifest_folder(stream, scope)}/{number:010}.json"


def manifest_number(name: str) -> int | None:
    """Return the number of a manifest by its name; None for another file."""
    match = _MANIFEST.fullmatch(name)
    return int(match["number"]) if match else None


def file_name(folder: str, written_at: datetime, key: str, ending: str) -> str:
    """Return the name of a data file.

    :param key: 32 random hexadecimal digits.
    """
    return f"{folder}/{written_at.astimezone(timezone.utc):{_STAMP}}-{key}.{ending}"


def written_at(name: str) -> datetime | None:
    """Return when a data file was written, by its name; None for a file that this package did not write."""
    match = _OURS.fullmatch(name)
    return datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=timezone.utc) if match else None
