from __future__ import annotations

import json
from typing import Any

import pytest
from support.connections import Connections
from support.sandboxes import HostedSandbox
from support.task_attempts import context_of

from airflow_provider_toggl.operators.catalog import (
    TogglEnsureClientOperator,
    TogglEnsureProjectOperator,
    TogglEnsureTagOperator,
    TogglEnsureTaskOperator,
)

pytestmark = pytest.mark.airflow


@pytest.fixture
def toggl(small_sandbox: HostedSandbox, connections: Connections) -> HostedSandbox:
    connections.toggl(small_sandbox)
    return small_sandbox


def run(operator: Any) -> dict[str, Any]:
    result: dict[str, Any] = operator.execute(context_of(operator.task_id))
    return result


def test_each_object_is_created_once_and_then_found(toggl: HostedSandbox):
    client = run(TogglEnsureClientOperator(task_id="client", name="Acme "))
    project = run(TogglEnsureProjectOperator(task_id="project", name="Bridge", client_id=str(client["id"])))
    task = run(TogglEnsureTaskOperator(task_id="task", name="Draw", project_id=str(project["id"])))
    tag = run(TogglEnsureTagOperator(task_id="tag", name="night"))
    results = [client, project, task, tag]
    assert [(one["kind"], one["action"], one["requests"], one["active"]) for one in results] == [
        (kind, "created", 2, True) for kind in ("client", "project", "task", "tag")
    ]
    assert len({tuple(one) for one in results}) == 1
    assert json.loads(json.dumps(results)) == results
    assert (client["name"], project["client_id"], task["project_id"]) == ("Acme", client["id"], project["id"])
    again = [
        run(TogglEnsureClientOperator(task_id="client", name="Acme")),
        run(TogglEnsureProjectOperator(task_id="project", name="Bridge")),
        run(TogglEnsureTaskOperator(task_id="task", name="Draw", project_id=project["id"])),
        run(TogglEnsureTagOperator(task_id="tag", name="night")),
    ]
    assert [(one["id"], one["action"], one["requests"]) for one in again] == [
        (one["id"], "found", 1) for one in results
    ]


def test_a_project_of_another_client_does_not_match(toggl: HostedSandbox):
    client = run(TogglEnsureClientOperator(task_id="client", name="Other"))
    first = run(TogglEnsureProjectOperator(task_id="project", name="Tower"))
    second = run(TogglEnsureProjectOperator(task_id="project", name="Tower", client_id=client["id"]))
    assert (first["client_id"], second["action"]) == (None, "created")
    assert first["id"] != second["id"]


def test_further_fields_apply_to_new_objects(toggl: HostedSandbox):
    made = run(TogglEnsureProjectOperator(task_id="project", name="Red", fields={"color": "#d92b2b", "active": False}))
    assert not made["active"]
    (row,) = [one for one in toggl.truth("projects") if one["id"] == made["id"]]
    assert (row["color"], row["active"]) == ("#d92b2b", False)
    found = run(TogglEnsureProjectOperator(task_id="project", name="Red", fields={"color": "#06a893"}))
    assert (found["action"], found["active"]) == ("found", False)
