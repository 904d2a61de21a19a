from __future__ import annotations

from airflow_provider_toggl.core.load.values import LoadResult, Sweep


def test_a_result_counts_nothing_and_a_sweep_allows_little_by_default() -> None:
    assert LoadResult() == LoadResult(0, 0, 0, 0, 0, frozenset(), ())
    assert (Sweep(7, None).limit_share, Sweep(7, None).limit_rows) == (0.2, 20)  # type: ignore[arg-type]
