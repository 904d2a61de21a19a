from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from support.benchmark_programs import load_benchmark
from support.package_sources import ROOT


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    # Where Python finds what a program imports that lies beside it.
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return load_benchmark("warehouses")


def test_postgres_is_told_as_a_share_of_copy_and_others_beside_their_limit(program: ModuleType) -> None:
    rates = {"raw_copy_text": 301, "raw_copy_csv": 200, "raw_copy_binary": 400, "whole_path": 150}
    memory = [{"entries": 100_000, "peak_megabytes": 90}, {"entries": 1_000_000, "peak_megabytes": 95}]
    told = program.summarise("postgres", {"rows_per_second": rates}, memory)
    assert (told["share_of_copy"], told["within_limit"]) == ({"text": 0.5, "csv": 0.75, "binary": 0.38}, True)
    assert told["peak_megabytes"] == {"100,000": 90, "1,000,000": 95}
    for rate, is_within in ((5_000, True), (4_999, False)):
        told = program.summarise("sqlite", {"rows_per_second": {"whole_path": rate}}, memory)
        assert (told["limit"], told["within_limit"]) == (5_000, is_within)


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_every_entry_is_landed_twice_and_its_rate_is_told(program: ModuleType, engine: str, tmp_path: Path) -> None:
    result = program.measure_rate(engine, str(tmp_path / "w"), 2_000)
    assert result["entries"] == 2_000
    assert set(result["rows_per_second"]) == {"whole_path", "whole_path_again_all_newer"}
    assert all(rate > 0 for rate in result["rows_per_second"].values())
    assert program.measure_memory(engine, str(tmp_path / "m"), 1_000)["peak_megabytes"] > 10
