from __future__ import annotations

import json
from datetime import date, datetime, timezone

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor, VerifiedWindow, WindowProgress, dump, load
from airflow_provider_toggl.core.reconcile.hidden_periods import HiddenPeriod

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
TEXT = "2026-03-10T12:00:00Z"
DAYS = date(2026, 1, 1), date(2026, 3, 1)
CURSOR = ReconcileCursor(
    other_days_read_at=NOW,
    gives_ids=False,
    takes_ids=True,
    shows_running=True,
    verified=(VerifiedWindow(*DAYS, NOW, NOW, 5, True, {"why": 2}),),
    open=WindowProgress(*DAYS, NOW, days=DAYS, groups=((7, 1),), reread=True, pending=(3,), unverified={"why": (1, 2)}),
    known_until=NOW,
    hidden=HiddenPeriod(NOW, {"why": 3}),
)
ENDS = {"first": "2026-01-01", "last": "2026-03-01"}
VERSION_1 = {
    "version": 1,
    "elsewhere_at": TEXT,
    "gives_ids": False,
    "takes_ids": True,
    "shows_running": True,
    "proofs": [
        {**ENDS, "proved_at": TEXT, "done_at": TEXT, "entries": 5, "by_ids": True, "unproved": {"why": 2}},
    ],
    "open": {
        **ENDS,
        "opened_at": TEXT,
        "days": ["2026-01-01", "2026-03-01"],
        "groups": [[7, 1]],
        "reread": True,
        "pending": [3],
        "unproved": {"why": [1, 2]},
    },
    "known_to": TEXT,
    "blindness": {"since": TEXT, "unseen": {"why": 3}},
}


def test_a_stored_cursor_is_read_back_unchanged():
    assert load(dump(CURSOR)) == CURSOR


def test_a_cursor_of_version_1_keeps_everything_that_it_knew():
    assert load(json.dumps(VERSION_1)) == CURSOR


def test_without_a_stored_cursor_nothing_is_known():
    assert load(None) == load("") == ReconcileCursor()


@pytest.mark.parametrize("text", ["{", "7", '{"open": 7}', '{"version": 3}'])
def test_an_unreadable_cursor_says_what_to_do(text: str):
    with pytest.raises(ConfigurationError, match="Delete its row"):
        load(text)
