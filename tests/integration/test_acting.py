"""Tasks that write to Toggl and are killed before they receive the response, in a real Airflow."""

from __future__ import annotations

import os
import signal
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from support.airflow_home import AirflowHome

# Whole runs of a real Airflow, on machines that may do other things meanwhile.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(1800)]

WRITES = {"act_create": "time_entries", "act_start": "time_entries", "act_client": "clients", "act_request": "tags"}


@pytest.mark.soak
def test_a_task_that_is_killed_before_its_answer_comes_doubles_nothing_when_it_is_tried_again(
    sandbox: Any, airflow: AirflowHome
):
    toggl = sandbox("--entries", "20", "--plan", "starter", "--seed", "15", "--set", "quota_enforced=false")
    extra = {"workspace_id": toggl.workspace_id, "requests_per_second": 100}
    fields = {"conn_type": "toggl", "host": toggl.url, "password": toggl.token, "extra": extra}
    airflow.set_connection("toggl_default", fields)
    airflow.start(timeout=600)
    for takes_effect in (True, False):
        for dag_id, stream in WRITES.items():
            toggl.fault("status", status=503, takes_effect=takes_effect, match={"method": "POST"})
            toggl.fault("slow", seconds=120, match={"method": "POST"})
            before = posts(toggl)
            run = airflow.trigger(dag_id)
            airflow.wait_until(lambda: posts(toggl) > before, timeout=120, what="the request")  # noqa: B023
            (killed,) = airflow.task_instances(dag_id, run)
            os.kill(
                airflow.wait_until(lambda: waiting_process(toggl), timeout=10, what="the task's process"),
                signal.SIGKILL,
            )
            # A write that cannot be looked up is not sent again.
            is_looked_up = dag_id != "act_request"
            assert airflow.wait_for_run(dag_id, run, timeout=180) == ("success" if is_looked_up else "failed")
            (task,) = airflow.task_instances(dag_id, run)
            # A busy machine may lose a try before it begins.
            assert task["try_number"] > killed["try_number"]
            made = [row for row in toggl.truth(stream) if run in (row.get("description"), row.get("name"))]
            assert len(made) == int(takes_effect or is_looked_up)
            assert posts(toggl) - before == (2 if is_looked_up and not takes_effect else 1)


def posts(toggl: Any) -> int:
    """Return how many writes have reached the sandbox."""
    return sum(1 for call in toggl.requests()["calls"] if call["method"] == "POST")


def waiting_process(toggl: Any) -> int | None:
    """Return the process ID of the process that waits for a response of the sandbox, if there is one."""
    port = urlsplit(toggl.url).port
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        waits = any(one.raddr and one.raddr.port == port and one.status == "ESTABLISHED" for one in connections)
        if waits and process.pid != os.getpid():
            return int(process.pid)
    return None
