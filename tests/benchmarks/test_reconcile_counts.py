from __future__ import annotations

from support.repository import load_benchmark

counts = load_benchmark("reconcile_counts")


def test_a_small_workspace_keeps_the_limits_with_ids_and_without() -> None:
    result = counts.measure([600])
    assert [run["right"] for run in result["runs"]] == [True, True]
    assert result["ok"], result["runs"]
