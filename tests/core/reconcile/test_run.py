from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from support.entry_rows import NOON

from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.run import Reconcile


@pytest.mark.parametrize("earlier", [None, ReconcileSummary(7, deleted=3)])
def test_a_run_goes_on_with_the_summary_of_its_earlier_parts(earlier: Any) -> None:
    run = Reconcile(Mock(), Mock(), ReconcileRequest(7, NOON), summary=earlier)
    assert run.summary == (earlier or ReconcileSummary(7))
