"""Load a page from Toggl, with its progress in the same transaction. Pull and reconciliation both use it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.load.measuring import measure_landing
from airflow_provider_toggl.core.load.target import Landed, Progress, Sweep, Target
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.records import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PageLoader:
    """Loads pages of one workspace.

    :param scope: the scope of the progress in ``sync_state``.
    :param by: ``pull`` or ``reconcile``, for metrics.
    """

    target: Target
    workspace_id: int
    scope: str
    clock: Clock
    by: str = "pull"

    def decode(self, page: Page) -> Batch:
        """Return the records of a page, and log its problems."""
        from airflow_provider_toggl.core.load.records import Observation, decode_page  # noqa: PLC0415 - reading rows needs pyarrow, importing this module must not

        batch: Batch = decode_page(page.stream, page.body, Observation(self.workspace_id, page.observed_at))
        log_problems(batch, page.where)
        return batch

    def land(self, page: Page, batch: Batch, sweep: Sweep | None = None, *, note_days: bool = False) -> Landed:
        """Load a page's records and store its progress.

        :param sweep: on the last page of a complete list: mark what the list lacks as absent.
        :param note_days: find out which entries and days the page changed.
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
        loaded = self.target.land([batch], progress, sweep, note_days=note_days)
        measure_landing(loaded, by=self.by, stream=page.stream, seconds=time.monotonic() - began)
        metrics.PAGES.add(stream=page.stream)
        metrics.PAGE_ROWS.add(page.rows, stream=page.stream)
        return loaded


def log_problems(batch: Batch, where: str) -> None:
    """Log what is wrong with a page that is loaded nevertheless."""
    if batch.rejected:
        log.warning(
            "%s, %s: %s rejected, see rejected_records. The first one: %s",
            batch.stream,
            where,
            plural(len(batch.rejected), "record"),
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
