from __future__ import annotations

import logging
from datetime import datetime, timezone
from pathlib import Path

import pytest

from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.page_loader import PageLoader

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
PAGE = Page(
    "tags", b'[{"id": 1, "workspace_id": 8, "name": "a"}, {"id": 2}]', 2, NOON, NOON, '{"here": 1}', 3, where="all"
)


def test_a_page_is_loaded_with_its_progress(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with build_duckdb_warehouse(tmp_path / "w.duckdb") as target:
        loader = PageLoader(target, 8, "8", SystemClock())
        result = loader.load(PAGE, loader.decode(PAGE))
        state = target.find_state("tags", "8")
    assert (result.inserted, result.rejected) == (1, 1)
    assert state is not None
    assert (state.watermark, state.cursor, state.requests_spent) == (NOON, '{"here": 1}', 3)
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "tags, all: 1 record rejected" in record.getMessage()
