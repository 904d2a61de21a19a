from __future__ import annotations

from datetime import datetime, timezone

from support.metrics import recording

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.load.load_metrics import measure_freshness, measure_load
from airflow_provider_toggl.core.load.values import LoadResult

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def test_a_load_measures_how_many_rows_had_which_result() -> None:
    with recording() as recorder:
        measure_load(LoadResult(inserted=3, unchanged=2, absent=1), by="pull", stream="tags", seconds=0.5)
    tags = {"by": "pull", "stream": "tags"}
    assert recorder.of(metrics.LOADED_ROWS) == [
        ({**tags, "result": "inserted"}, 3),
        ({**tags, "result": "unchanged"}, 2),
        ({**tags, "result": "absent"}, 1),
    ]
    assert recorder.of(metrics.LOAD_TIME) == [(tags, 500)]


def test_a_watermark_is_measured_as_an_instant_and_as_an_age_that_is_never_negative() -> None:
    with recording() as recorder:
        for later in (90.0, -90.0):
            measure_freshness(NOON, NOON.timestamp() + later, by="pull", stream="tags", workspace_id=7, warehouse="a.b")
    tags = {"by": "pull", "stream": "tags", "workspace": "7", "warehouse": "a.b"}
    assert recorder.of(metrics.WATERMARK) == [(tags, NOON.timestamp())] * 2
    assert [value for _, value in recorder.of(metrics.WATERMARK_AGE)] == [90, 0]


def test_before_the_first_load_is_through_there_is_no_mark() -> None:
    with recording() as recorder:
        measure_freshness(None, NOON.timestamp(), by="pull", stream="tags", workspace_id=7, warehouse="a.b")
    assert recorder.sent == []
