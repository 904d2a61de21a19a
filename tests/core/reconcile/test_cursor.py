from __future__ import annotations

from datetime import date, datetime, timezone

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor, VerifiedWindow, WindowProgress, dump, load

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
DAYS = date(2026, 1, 1), date(2026, 3, 1)


def test_a_cursor_is_the_same_after_it_was_kept():
    cursor = ReconcileCursor(
        gives_ids=False,
        proofs=(VerifiedWindow(*DAYS, NOW, NOW, 5, True, {"why": 2}),),
        open=WindowProgress(*DAYS, NOW, days=DAYS, groups=((7, 1),), pending=(3,), unverified={"why": (1, 2)}),
    )
    assert load(dump(cursor)) == cursor


def test_without_one_all_is_still_to_be_learned():
    assert load(None) == load("") == ReconcileCursor()


def test_one_that_cannot_be_read_says_what_to_do():
    with pytest.raises(ConfigurationError, match="deleting its row"):
        load("{")
