from __future__ import annotations

from airflow_provider_toggl.core.reconcile.request import ReconcileSummary


def test_a_new_summary_counts_nothing() -> None:
    summary = ReconcileSummary(7).as_dict()
    assert summary.pop("workspace_id") == 7
    assert not any(summary.values())
