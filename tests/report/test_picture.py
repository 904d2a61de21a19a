from __future__ import annotations

from airflow_provider_toggl.report.picture import why_empty


def test_a_reason_names_the_table_and_what_it_needs() -> None:
    reason = why_empty("timesheets", "a plan with approvals")
    assert reason == (
        "Left out: the table timesheets has no rows. Load the stream timesheets; it needs a plan with approvals."
    )
