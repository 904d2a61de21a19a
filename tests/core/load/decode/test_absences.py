from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from airflow_provider_toggl.core.load.decode.absences import build_absences
from airflow_provider_toggl.core.load.decode.records import Observation, decode_page
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
BODY = b"""[{"id": 1, "workspace_id": 8, "user_id": 5, "description": "kept", "start": "2026-03-01T10:00:00Z",
    "stop": "2026-03-01T11:00:00Z", "duration": 3600, "at": "2026-03-01T11:00:00Z"}]"""


def load(target: Warehouse, *steps: str) -> tuple[int, str | None]:
    """Load what was seen and what was lacking at minutes after noon, and return whether the row is live."""
    for step in steps:
        moment = NOON + int(step[1:]) * MINUTE
        seen = decode_page("time_entries", BODY, Observation(8, moment))
        target.load([seen if step[0] == "s" else build_absences("time_entries", 8, [1], moment)])
    live = target.query("select id from live_time_entries").num_rows
    (text,) = target.query("select description from time_entries").column(0).to_pylist()
    return live, text


def test_a_row_that_a_report_lacks_is_not_live_and_keeps_what_is_known_of_it(tmp_path: Path):
    with build_duckdb_warehouse(tmp_path / "w.duckdb") as target:
        assert load(target, "s1", "a2") == (0, "kept")


def test_it_is_live_when_it_was_seen_later_in_whatever_order_that_came(tmp_path: Path):
    for number, steps in enumerate((("s1", "a2", "s3"), ("s3", "s1", "a2"), ("s1", "s3", "a2"), ("s3", "a2", "a2"))):
        with build_duckdb_warehouse(tmp_path / f"{number}.duckdb") as target:
            assert load(target, *steps) == (1, "kept")


def test_absences_that_come_before_the_row_are_not_lost(tmp_path: Path):
    with build_duckdb_warehouse(tmp_path / "w.duckdb") as target:
        assert load(target, "a2", "s1") == (0, "kept")
