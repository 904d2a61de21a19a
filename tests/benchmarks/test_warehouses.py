from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from support.repository import load_benchmark


@pytest.fixture
def program() -> ModuleType:
    return load_benchmark("warehouses")


def test_postgres_is_compared_with_copy_and_other_engines_with_a_rate(program: ModuleType) -> None:
    rates = {"raw_copy_text": 301, "raw_copy_csv": 200, "raw_copy_binary": 400, "whole_path": 150}
    memory = [{"entries": 100_000, "peak_megabytes": 90}, {"entries": 1_000_000, "peak_megabytes": 95}]
    measured = program.summarise("postgres", {"rows_per_second": rates}, memory)
    assert measured["share_of_copy"] == {"text": 0.5, "csv": 0.75, "binary": 0.38}
    assert measured["peak_megabytes"] == {"100,000": 90, "1,000,000": 95}
    assert [limit.ok for limit in program.limits_of("postgres", measured)] == [True]
    for rate, is_within in ((5_000, True), (4_999, False)):
        measured = program.summarise("sqlite", {"rows_per_second": {"whole_path": rate}}, memory)
        assert [limit.ok for limit in program.limits_of("sqlite", measured)] == [is_within]


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_every_entry_is_loaded_twice_with_a_rate(program: ModuleType, engine: str, tmp_path: Path) -> None:
    result = program.measure_rate(engine, str(tmp_path / "w"), 2_000)
    assert result["entries"] == 2_000
    assert set(result["rows_per_second"]) == {"whole_path", "whole_path_again_all_newer"}
    assert all(rate > 0 for rate in result["rows_per_second"].values())
    assert program.measure_memory(engine, str(tmp_path / "m"), 1_000)["peak_megabytes"] > 10
