from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.core.land.changes import Changes
from airflow_provider_toggl.transfers.outlets import tell_outlets, toggl_outlets

pytestmark = pytest.mark.airflow


def test_outlets_of_toggl_are_found_among_others_and_told_what_was_touched():
    entries, everything, other = toggl_asset(8, "time_entries"), toggl_asset(8), Asset("s3://elsewhere/8")
    found = toggl_outlets([entries, other, everything, "words"])
    assert found == [(entries, 8, "time_entries"), (everything, 8, "events")]
    events: dict[Any, Any] = {entries: SimpleNamespace(extra={}), everything: SimpleNamespace(extra={})}
    changes = Changes()
    changes.restore(8, {"ids": [3], "days": ["2026-01-01"], "is_complete": True})
    tell_outlets({"outlet_events": events}, found, changes)  # type: ignore[typeddict-item]
    told = {"observations": 1, "ids": [3], "days": ["2026-01-01"], "is_complete": True}
    assert events[entries].extra == told
    assert events[everything].extra == {"streams": {"time_entries": told}}


def test_no_outlets_are_none_of_toggl():
    assert toggl_outlets(None) == []
