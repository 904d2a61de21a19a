"""Writes the pages of a stream as files, and publishes each by a manifest."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import FilesChanged, FileStorageError
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.files.encoding import EncodedFile, FileFormat, encode_rejected, encode_rows
from airflow_provider_toggl.core.files.manifest import (
    DataFile,
    Manifest,
    Reported,
    Unreported,
    encode_manifest,
    file_name,
    manifest_name,
)
from airflow_provider_toggl.core.files.reading import find_last_manifest
from airflow_provider_toggl.core.files.storage import Storage
from airflow_provider_toggl.core.load.decode.records import Observation, RecordText, decode_page, read_texts
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.sync.page_loader import log_problems

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

WRITERS = 8
"""So many files of a page are written at once."""

PUBLISH_WITHIN = timedelta(hours=1)
"""Files that were written longer ago are not published any more: a clean-up may have deleted them."""


@dataclass
class _Held:
    """Progress of pages without rows, which the next manifest publishes: a run that finds nothing writes only one."""

    page: Page | None = None
    complete_at: datetime | None = None


@dataclass
class FileWriter:
    """What a stream is pulled into, see ``PullTarget`` and ``Loader``: files of one workspace and stream.

    Nothing is shared with other writers. If two write at once, only one of them can publish the next manifest.

    :param attempt: the key of the task's attempt, see ``PullRequest``.
    :param on_published: called with each manifest, once it is published.
    """

    storage: Storage
    stream: str
    workspace_id: int
    scope: str
    file_format: FileFormat
    clock: Clock
    attempt: str = ""
    on_published: Callable[[Manifest], None] = lambda _: None
    _last: Manifest | None = None
    _held: _Held = field(default_factory=_Held)

    def find_state(self, stream: str, scope: str) -> Progress | None:
        """Return how far the stream is published."""
        last = self._last = find_last_manifest(self.storage, stream, scope)
        if last is None:
            return None
        return Progress(stream, scope, last.watermark, last.cursor, 0, last.published_at)

    def release(self, *, force: bool = False) -> None:
        """Do nothing: a writer keeps nobody from writing."""

    def decode(self, page: Page) -> RecordBatch:
        """Return the records of a page, and log its problems."""
        batch = decode_page(page.stream, page.body, Observation(self.workspace_id, page.observed_at))
        log_problems(batch, page.where, f"the files below {self.storage.url}/{self.stream}/_rejected")
        return batch

    def load(
        self,
        page: Page,
        batch: RecordBatch,
        sweep: Sweep | None = None,
        *,
        collect_days: bool = False,
    ) -> LoadResult:
        """Write a page's rows and rejected records, and publish them with the page's progress.

        Rows that an earlier run read are left out: a page of changes is filled up with them.
        """
        metrics.PAGES.add(stream=page.stream)
        metrics.PAGE_ROWS.add(page.rows, stream=page.stream)
        files = encode_rows(batch, self._new_texts(page, batch), page.observed_at, self.file_format)
        if not files and not batch.rejected:
            self._held = _Held(page, page.complete_at or self._held.complete_at)
            return LoadResult()
        began = utc(self.clock.now())
        # Each write waits for a disk or a network.
        with ThreadPoolExecutor(WRITERS, "toggl-files") as threads:
            written = list(threads.map(lambda one: self._write_rows(one, began), files))
        rejected = []
        if batch.rejected:
            data = encode_rejected(batch.rejected)
            rejected = [self._write(f"{self.stream}/_rejected", began, "jsonl", data, len(batch.rejected))]
        self._publish(page, tuple(written), tuple(rejected), began)
        return LoadResult(rejected=len(batch.rejected))

    def flush(self) -> None:
        """Publish the progress of pages without rows, so that they are not read again."""
        if self._held.page is not None:
            self._publish(self._held.page, (), (), utc(self.clock.now()))

    def finish(self) -> Unreported:
        """Publish what is left of a run, and record that the task reports what is published.

        :return: what the task is to report: also what earlier tasks published and did not report.
        """
        last = self._last
        unreported = Unreported() if last is None else last.unreported
        if last is not None and last.reported is not None and self.attempt and last.reported.attempt == self.attempt:
            # An earlier try of this task ended, and Airflow may have recorded no event of it.
            before = last.reported.what
            unreported = before.plus(unreported.rows, unreported.days, has_more_days=unreported.has_more_days)
        if self._held.page is not None or (last is not None and last.unreported.rows):
            number = 1 if last is None else last.number + 1
            done = Reported(self.attempt, unreported)
            self._publish(self._held.page, (), (), utc(self.clock.now()), reported=done, unreported=Unreported(number))
        return unreported

    def _new_texts(self, page: Page, batch: RecordBatch) -> list[RecordText | None]:
        """Return the text of each row of the batch, None for one that an earlier run published."""
        texts: list[RecordText | None] = list(read_texts(self.stream, page.body))
        if page.known_before is None:
            return texts
        # Times of changes have whole seconds.
        known_before = page.known_before.replace(microsecond=0)
        changed = batch.table["updated_at"].to_pylist()
        return [
            None if moment is not None and moment < known_before else text
            for text, moment in zip(texts, changed, strict=True)
        ]

    def _write_rows(self, rows: EncodedFile, began: datetime) -> DataFile:
        folder = f"{self.stream}/day={rows.day}"
        return self._write(folder, began, self.file_format, rows.data, rows.rows, day=rows.day)

    def _write(self, folder: str, began: datetime, ending: str, data: bytes, rows: int, **more: object) -> DataFile:
        name = file_name(folder, began, uuid.uuid4().hex, ending)
        self.storage.write(name, data)
        return DataFile(name, rows, len(data), **more)  # type: ignore[arg-type]

    def _publish(
        self,
        page: Page | None,
        files: tuple[DataFile, ...],
        rejected: tuple[DataFile, ...],
        began: datetime,
        *,
        reported: Reported | None = None,
        unreported: Unreported | None = None,
    ) -> None:
        last, now = self._last, utc(self.clock.now())
        if now - began > PUBLISH_WITHIN:
            raise FileStorageError(
                f"The files of a page of {self.stream} were written more than an hour ago, and the task stood still "
                "since then. They are not published, because a clean-up may have deleted them. Try again."
            )
        has_doubts = bool(rejected) or (last is not None and last.has_doubts)
        if unreported is None:
            days = [file.day for file in files if file.day is not None]
            unreported = (last.unreported if last else Unreported()).plus(sum(file.rows for file in files), days)
        manifest = Manifest(
            stream=self.stream,
            workspace_id=self.workspace_id,
            scope=self.scope,
            number=1 if last is None else last.number + 1,
            id=uuid.uuid4().hex,
            format=self.file_format,
            observed_at=page.observed_at if page else last.observed_at if last else now,
            published_at=now,
            files=files,
            rejected=rejected,
            watermark=page.watermark if page else last.watermark if last else None,
            cursor=page.cursor if page else last.cursor if last else "",
            complete_at=None if has_doubts else (page and page.complete_at) or self._held.complete_at,
            # The last page of a list ends the doubts about it.
            has_doubts=has_doubts and (page is None or page.share != 1.0),
            unreported=unreported,
            reported=reported or (last.reported if last else None),
        )
        name = manifest_name(self.stream, self.scope, manifest.number)
        if not self.storage.create(name, encode_manifest(manifest)):
            raise FilesChanged(
                f"Another task published {name} in {self.storage.url} meanwhile. Nothing of this page was published; a "
                "retry goes on after that manifest. Let only one task at a time write a stream: set "
                "max_active_tis_per_dag=1 on the task, or max_active_runs=1 on the DAG."
            )
        self._last = manifest
        self._held = _Held()
        self.on_published(manifest)
