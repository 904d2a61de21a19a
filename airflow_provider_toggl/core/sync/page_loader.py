"""Load a page from Toggl, with its progress in the same transaction. Pull and reconciliation both use it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.load.load_metrics import measure_load
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.decode.records import RecordBatch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageLoader:
    """Loads pages of one workspace.

    :param scope: the scope of the progress in ``sync_state``.
    :param by: ``pull`` or ``reconcile``, for metrics.
    """

    target: Warehouse
    workspace_id: int
    scope: str
    clock: Clock
    by: str = "pull"

    def decode(self, page: Page) -> RecordBatch:
        """Return the records of a page, and log its problems."""
        from airflow_provider_toggl.core.load.decode.records import Observation, add_absences, decode_page  # noqa: PLC0415 - reading rows needs pyarrow, importing this module must not

        batch: RecordBatch = decode_page(page.stream, page.body, Observation(self.workspace_id, page.observed_at))
        log_problems(batch, page.where)
        return add_absences(batch, self.workspace_id, page.absent_ids, page.observed_at)

    def load(
        self, page: Page, batch: RecordBatch, sweep: Sweep | None = None, *, collect_days: bool = False
    ) -> LoadResult:
        """Load a page's records and store its progress.

        :param sweep: on the last page of a complete list: mark what the list lacks as absent.
        :param collect_days: find out which entries and days the page changed.
        """
        progress = Progress(
            stream=page.stream,
            scope=self.scope,
            watermark=page.watermark,
            cursor=page.cursor,
            requests_spent=page.requests,
            ran_at=utc(self.clock.now()),
        )
        began = time.monotonic()
        loaded = self.target.load([batch], progress, sweep, collect_days=collect_days)
        measure_load(loaded, by=self.by, stream=page.stream, seconds=time.monotonic() - began)
        metrics.PAGES.add(stream=page.stream)
        metrics.PAGE_ROWS.add(page.rows, stream=page.stream)
        return loaded


def log_problems(batch: RecordBatch, where: str, kept_in: str = "rejected_records") -> None:
    """Log what is wrong with a page that is loaded nevertheless.

    :param kept_in: where rejected records are.
    """
    if batch.rejected:
        log.warning(
            "%s, %s: %s rejected, see %s. The first one: %s",
            batch.stream,
            where,
            plural(len(batch.rejected), "record"),
            kept_in,
            batch.rejected[0].reason,
        )
    if batch.unexpected_durations:
        log.warning(
            "%s, %s: %s with a duration that is not the time from start to stop, or with a stop before the start; "
            "loaded as Toggl has them.",
            batch.stream,
            where,
            plural(batch.unexpected_durations, "entry"),
        )
