"""Pull one stream of a workspace into files. A run that is interrupted goes on after its last manifest."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import Estimate
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.files.encoding import FileFormat
from airflow_provider_toggl.core.files.manifest import Manifest, Unreported
from airflow_provider_toggl.core.files.storage import Storage
from airflow_provider_toggl.core.files.writer import FileWriter
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest, PullSummary, build_scope
from airflow_provider_toggl.core.wording import plural

_OF_WAREHOUSES = ("inserted", "updated", "unchanged", "absent")


@dataclass
class FileSummary(PullSummary):
    """What a run did, see ``PullSummary``. What the rows changed is not known.

    :param files: data files that were published.
    :param written: rows in them; fewer than ``rows``, where an earlier run published the others.
    :param manifest: number of the last manifest that the run published; 0 without one.
    """

    files: int = 0
    written: int = 0
    manifest: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and XCom can hold it."""
        return {name: value for name, value in super().as_dict().items() if name not in _OF_WAREHOUSES}

    def __str__(self) -> str:
        """Return it as one line of text."""
        if self.skipped:
            return super().__str__()
        rows, pages, files = plural(self.rows, "row"), plural(self.pages, "page"), plural(self.files, "file")
        parts = [f"{self.stream} of workspace {self.workspace_id}: {rows} in {pages}"]
        parts.append(f"{self.written:,} written to {files}")
        parts += [f"{self.rejected:,} rejected"] if self.rejected else []
        parts += [plural(self.requests, "request")]
        parts += [f"{plural(self.deferrals, 'wait')} for the quota"] if self.deferrals else []
        parts.append("first load not finished" if self.watermark is None else f"complete up to {self.watermark}")
        return "; ".join(parts) + "."


class FilePull:
    """Pulls one stream of one workspace into files.

    :param summary: what earlier parts of the same run did, when it goes on after a deferral.
    """

    def __init__(
        self,
        session: TogglSession,
        storage: Storage,
        request: PullRequest,
        file_format: FileFormat,
        *,
        summary: FileSummary | None = None,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.scope = build_scope(request)
        self._writer = FileWriter(
            storage,
            request.stream,
            request.workspace_id,
            self.scope,
            file_format,
            clock,
            attempt=request.attempt_key,
            on_published=self._count,
        )
        self.summary = summary or FileSummary(request.stream, request.workspace_id)
        self._pull = Pull(session, self._writer, request, summary=self.summary, clock=clock, loader=self._writer)
        self.unreported = Unreported()

    def run(self) -> FileSummary:
        """Write pages until nothing is left to read; return the summary.

        :attr:`unreported` then has what the task is to report.

        :raises TogglError: published pages stay, and :attr:`summary` says how many there are.
        """
        try:
            self._pull.run()
            self.unreported = self._writer.finish()
        except TogglError:
            # The error that ended the run is the one to report.
            with suppress(TogglError):
                self._writer.flush()
            raise
        return self.summary

    def estimate(self) -> Estimate:
        """Return about how many requests are left in this run and how long they take. It sends no request."""
        return self._pull.estimate()

    def _count(self, manifest: Manifest) -> None:
        self.summary.files += len(manifest.files)
        self.summary.written += manifest.rows
        self.summary.manifest = manifest.number
