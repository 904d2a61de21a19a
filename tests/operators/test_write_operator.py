from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import Connections
from support.sandboxes import HostedSandbox
from support.task_attempts import context_of, task_state_store

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client import idempotency
from airflow_provider_toggl.operators.entries import TogglCreateTimeEntryOperator

pytestmark = pytest.mark.airflow


@pytest.fixture
def toggl(small_sandbox: HostedSandbox, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> HostedSandbox:
    monkeypatch.setattr(idempotency, "LOOKUP_DELAYS", (0.0,))
    connections.toggl(small_sandbox)
    return small_sandbox


def create(**options: Any) -> TogglCreateTimeEntryOperator:
    times = {"start": "2026-11-20T08:00:00Z", "stop": "2026-11-20T09:00:00Z"}
    return TogglCreateTimeEntryOperator(task_id="create", description="design", **times, **options)


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_a_lookup_without_quota_defers_and_is_repeated_first(
    toggl: HostedSandbox, connections: Connections, tmp_path: Path, airflow: str
):
    toggl.fault("hang_up", match={"method": "POST"})
    toggl.fault("status", status=402, body="You have hit your hourly limit for API calls.", match={"method": "GET"})
    with pytest.raises(TaskDeferred) as deferred:
        create().execute(context_of("create", store=task_state_store(airflow)))  # type: ignore[arg-type]
    # It goes on on another host, which has no file of this one and knows of no quota.
    connections.set_option("state_dir", str(tmp_path / "other"))
    result = create().resume(context_of("create", store=task_state_store(airflow)), **deferred.value.kwargs)  # type: ignore[arg-type]
    assert (result["action"], result["requests"]) == ("found", 1)


def test_the_next_try_looks_up_a_write_with_an_unknown_outcome(toggl: HostedSandbox):
    toggl.fault("hang_up", match={"method": "POST"})
    toggl.fault("status", status=403, body="no", match={"path": "/me/time_entries"})
    with pytest.raises(errors.ApiError) as caught:
        create().execute(context_of("create"))  # type: ignore[arg-type]
    assert isinstance(caught.value, errors.OutcomeUnknown)
    result = create().execute(context_of("create", 2))  # type: ignore[arg-type]
    assert result["action"] == "found"
    assert toggl.requests()["by_endpoint"]["POST /api/v9/workspaces/{workspace_id}/time_entries"] == 1


def test_the_next_try_after_a_refusal_sends_the_write_if_the_lookup_finds_nothing(toggl: HostedSandbox):
    toggl.fault("status", status=400, body="no", match={"method": "POST"})
    with pytest.raises(errors.PayloadRefused):
        create().execute(context_of("create"))  # type: ignore[arg-type]
    assert create().execute(context_of("create", 2))["action"] == "created"  # type: ignore[arg-type]
