from __future__ import annotations

import argparse

import pytest
from support.repository import load_benchmark

page = load_benchmark("page")


@pytest.mark.airflow
@pytest.mark.soak
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_page_is_measured_cold_and_warm(engine: str) -> None:
    run = page.measure(engine, argparse.Namespace(events=2_000, cold=1, warm=1))
    assert len({one["page"] for one in run["pages"]}) == len(run["pages"]) >= 30
    for one in run["pages"]:
        assert one["http_cold_ms"]["max"] > 0
        assert one["http_warm_ms"]["max"] > 0
        assert ("queries_cold_ms" in one) == (not one["page"].startswith("health"))
