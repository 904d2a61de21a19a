"""The state of one reconciliation: all that changes while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor, WindowProgress
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest


@dataclass
class RunState:
    """What a run has found out so far. The verification of a window and the runner both read and update it.

    :param request: what was asked for, with the start of the attempt that this run continues.
    :param cursor: what is stored beside the rows, see ``cursor``.
    :param watermark: the moment, by Toggl's clock, that the last complete verification describes.
    :param newest_change: the latest change that any report of this run has shown.
    :param loaded: rows that were loaded or marked in this run.
    """

    request: ReconcileRequest
    cursor: ReconcileCursor
    watermark: datetime | None = None
    newest_change: datetime | None = None
    loaded: int = 0

    @property
    def page_size(self) -> int:
        """Entries of a page at most: the wanted number, or the smaller one that Toggl allows."""
        return min(self.request.page_size, self.cursor.changes.page_size or self.request.page_size)

    @property
    def span_days(self) -> int:
        """Days of a report at most, as far as Toggl has refused longer ones."""
        return self.cursor.changes.span_days

    @property
    def window(self) -> WindowProgress:
        """The window that is being verified."""
        if self.cursor.open is None:
            raise RuntimeError("No window is open.")
        return self.cursor.open

    def update(self, **changes: Any) -> None:
        """Change fields of the cursor; they are stored with the next rows, or by ``SaveProgress``."""
        self.cursor = replace(self.cursor, **changes)

    def open_window(self, window: Window, opened_at: datetime) -> None:
        """Begin to verify a window, or continue where an earlier part of this attempt stopped."""
        kept = self.cursor.open
        if kept is None or kept.window != window or kept.opened_at < self.request.run_started:
            self.update(open=WindowProgress(window.first, window.last, opened_at))

    def update_window(self, **changes: Any) -> None:
        """Change fields of the open window."""
        self.update(open=replace(self.window, **changes))

    def add_unverified(self, reason: str, ids: Iterable[int]) -> None:
        """Record that rows of the open window stay live without proof, and why."""
        unverified = self.window.unverified
        known = unverified.get(reason, ())
        self.update_window(unverified={**unverified, reason: tuple(sorted({*known, *ids}))})
