from __future__ import annotations

from datetime import timedelta

import pytest
from support.entry_rows import DAY, NOON

from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor, WindowProgress
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest
from airflow_provider_toggl.core.reconcile.state import RunState

WINDOW = Window((NOON - DAY).date(), NOON.date())


@pytest.mark.parametrize(
    ("opened_after", "window", "is_kept"),
    [
        (timedelta(0), WINDOW, True),
        (timedelta(minutes=1), WINDOW, True),
        (-timedelta(minutes=1), WINDOW, False),
        (timedelta(0), Window(WINDOW.first, WINDOW.first), False),
    ],
)
def test_progress_of_a_window_is_continued_by_the_same_attempt_alone(
    opened_after: timedelta, window: Window, is_kept: bool
) -> None:
    kept = WindowProgress(WINDOW.first, WINDOW.last, NOON + opened_after, reread=True)
    state = RunState(ReconcileRequest(7, NOON), ReconcileCursor(open=kept))
    state.open_window(window, NOON + DAY)
    assert state.window == (kept if is_kept else WindowProgress(window.first, window.last, NOON + DAY))
