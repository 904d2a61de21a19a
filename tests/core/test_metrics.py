from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

import pytest
from support.metrics import recording

from airflow_provider_toggl.core import metrics


class Broken:
    """A sink that fails."""

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        raise OSError("No buffer space available.")

    gauge = timing = count  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def nowhere() -> Iterator[None]:
    yield
    metrics.send_to(None)


def test_without_a_sink_nothing_happens() -> None:
    metrics.DELIVERIES.add(outcome="stored")
    metrics.LAST_SEQ.set(1, store="default")
    metrics.APPEND.record(0.1)


def test_each_kind_of_metric_reaches_the_sink() -> None:
    with recording() as recorder:
        metrics.DELIVERIES.add(3, outcome="stored")
        metrics.WATERMARK.set(5.5, by="pull", stream="tags", workspace=7, warehouse="duckdb_default.toggl")
        metrics.APPEND.record(0.25)
    assert [(one.name, one.kind, dict(one.tags), one.value) for one in recorder.sent] == [
        ("toggl.receive.deliveries", "counter", {"outcome": "stored"}, 3),
        (
            "toggl.load.watermark",
            "gauge",
            {"by": "pull", "stream": "tags", "workspace": "7", "warehouse": "duckdb_default.toggl"},
            5.5,
        ),
        ("toggl.append.duration", "timer", {}, 250),
    ]


def test_zero_is_not_counted_and_a_negative_duration_is_zero() -> None:
    with recording() as recorder:
        metrics.PAGES.add(0, stream="tags")
        metrics.APPEND.record(-3.0)
    assert [(one.name, one.value) for one in recorder.sent] == [("toggl.append.duration", 0)]


def test_a_failing_sink_is_logged_once_and_does_not_raise(caplog: pytest.LogCaptureFixture) -> None:
    metrics.send_to(Broken())
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            metrics.DELIVERIES.add(outcome="stored")
            metrics.LAST_SEQ.set(1, store="default")
            metrics.APPEND.record(0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "Metrics cannot be sent and are lost: OSError: No buffer space available."
    ]


def test_names_and_tags_suit_every_backend_and_every_metric_has_a_meaning() -> None:
    for name, metric in metrics.CATALOGUE.items():
        words = name.split(".")
        assert words[0] == "toggl"
        assert len(words) == 3
        assert all(word.replace("_", "").isalnum() and word == word.lower() for word in [*words, *metric.tags])
        assert metric.meaning.endswith(".")
        assert set(metric.sender.split(", ")) <= {"receiver", "triggerer", "task"}
        # Each value of a tag is a series, so tags must not have IDs without limit.
        assert not {"entry", "event", "id", "task", "run"} & set(metric.tags)
