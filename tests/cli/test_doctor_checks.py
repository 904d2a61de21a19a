"""What the doctor skips, how many requests it sends, and which databases and triggerers it checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import Connections
from support.doctor_setup import DoctorSetup, HostedReceiver, triggerer_job
from support.servers.postgres import running_postgres

from airflow_provider_toggl.cli.doctor_checks import find_triggerers, run_checks
from airflow_provider_toggl.core.operate.doctor.context import CheckOptions
from airflow_provider_toggl.core.operate.findings import CheckStatus, Report
from airflow_provider_toggl.hooks.warehouse import open_warehouse
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("metadata-jobs")]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=5, days=5, settings=Settings(quota_enforced=False)) as running:
        yield running


@pytest.fixture
def clinic(sandbox: RunningSandbox, connections: Connections, tmp_path: Path) -> Iterator[DoctorSetup]:
    receiver = HostedReceiver()
    with triggerer_job(seconds_ago=-3600):
        yield DoctorSetup(sandbox, connections, tmp_path, receiver)
    receiver.close()


def options(**fields: object) -> CheckOptions:
    return CheckOptions(**{"timeout": 60.0, **fields})  # type: ignore[arg-type]


def statuses(report: Report) -> dict[str, CheckStatus]:
    return {one.check: one.status for one in report.findings}


def problems(report: Report) -> set[str]:
    return {one.problem.name for one in report.findings if one.problem}


def test_without_webhooks_and_loads_there_is_no_fault(clinic: DoctorSetup) -> None:
    clinic.connect(webhook_secret=None, webhook_callback_url=None)
    report = run_checks(options())
    assert (report.exit_code, report.requests) == (0, 3)
    assert problems(report) == {"nothing_waits", "no_tables"}
    assert statuses(report)["subscription"] is statuses(report)["callback"] is CheckStatus.SKIPPED


def test_no_ping_is_sent_if_it_is_disabled(clinic: DoctorSetup) -> None:
    clinic.subscribe()
    before = clinic.sandbox.webhook_deliveries()["outcomes"]
    report = run_checks(options(ping=False))
    assert (report.exit_code, report.requests) == (0, 5)
    assert statuses(report)["callback"] is CheckStatus.SKIPPED
    assert clinic.sandbox.webhook_deliveries()["outcomes"] == before


def test_without_a_workspace_the_owner_s_default_one_is_checked(clinic: DoctorSetup) -> None:
    clinic.connect(workspace_id=None, webhook_secret=None, webhook_callback_url=None)
    report = run_checks(options())
    assert "no_workspace" in problems(report)
    assert (report.exit_code, statuses(report)["rights"]) == (0, CheckStatus.OK)


@pytest.mark.parametrize(("workspace_id", "found"), [(1, "no_workspace_access"), ("seven", "connection_wrong")])
def test_a_workspace_that_does_not_exist_is_a_fault(clinic: DoctorSetup, workspace_id: object, found: str) -> None:
    clinic.connect(workspace_id=workspace_id)
    report = run_checks(options())
    assert found in problems(report)
    assert statuses(report)["plan"] is statuses(report)["subscription"] is CheckStatus.SKIPPED


def test_another_callback_has_no_subscription_and_its_own_problem(clinic: DoctorSetup) -> None:
    clinic.subscribe()
    report = run_checks(options(callback_url="https://127.0.0.1:1/elsewhere", timeout=4))
    assert problems(report) >= {"no_subscription", "callback_unreachable"}
    report = run_checks(options(callback_url=f"{clinic.receiver.url}/toggl/webhooks/toggl_other"))
    assert problems(report) >= {"no_subscription", "unknown_connection"}
    report = run_checks(options(callback_url="ftp://nowhere"))
    assert "connection_wrong" in problems(report)


def test_a_receiver_with_another_store_is_reported(clinic: DoctorSetup) -> None:
    clinic.subscribe()
    # The receiver holds the connection that it looked up; this process reads another store from now on.
    clinic.connections.set("my_events", conn_type="sqlite", host=str(clinic.folder / "other.sqlite"))
    clinic.connect(event_store_conn_id="my_events")
    report = run_checks(options(timeout=4))
    assert problems(report) & {"other_store", "ping_lost"} == {"other_store"}


def test_an_exhausted_quota_is_reported_once_and_no_more_requests_are_sent(clinic: DoctorSetup) -> None:
    clinic.subscribe()
    clinic.sandbox.set(quota_enforced=True, organization_quota=1)
    report = run_checks(options())
    # It was enough for the workspace, and no more.
    assert "quota_gone" in problems(report)
    assert (statuses(report)["rights"], statuses(report)["subscription"]) == (CheckStatus.OK, CheckStatus.SKIPPED)
    report = run_checks(options())
    assert [one.problem.name for one in report.findings if one.problem].count("quota_gone") == 1
    assert (
        statuses(report)["plan"]
        is statuses(report)["rights"]
        is statuses(report)["subscription"]
        is CheckStatus.SKIPPED
    )
    assert report.requests == 2


def test_a_previous_secret_is_a_warning(clinic: DoctorSetup) -> None:
    clinic.connect(previous_webhook_secret="older-secret-77")
    report = run_checks(options(ping=False))
    assert "two_secrets" in problems(report)
    assert "older-secret-77" not in str(report)


def test_the_probe_is_not_an_event(clinic: DoctorSetup) -> None:
    from airflow_provider_toggl.hooks.events import open_event_store

    clinic.subscribe()
    run_checks(options())
    with open_event_store("toggl_default") as store:
        assert (store.count(), store.last_seq()) == (0, 0)


def test_databases_in_postgres_are_checked_and_the_lock_s_holder_is_reported(clinic: DoctorSetup) -> None:
    with running_postgres(settings={"fsync": "on"}) as server:
        fields = {"host": "127.0.0.1", "port": server.port, "login": "postgres", "schema": "postgres"}
        for name in ("my_events", "my_warehouse"):
            clinic.connections.set(name, conn_type="postgres", **fields)
        clinic.connect(event_store_conn_id="my_events")
        clinic.subscribe()
        report = run_checks(options(warehouse_conn_id="my_warehouse"))
        assert problems(report) == {"no_tables", "nothing_waits"}
        with open_warehouse("my_warehouse", schema="toggl") as target:
            report = run_checks(options(warehouse_conn_id="my_warehouse", ping=False))
            assert problems(report) == {"nothing_waits"}
            clocks = [one.text for one in report.findings if one.check == "clock"]
            assert ["event store" in words for words in clocks].count(True) == 1
            assert ["the warehouse" in words for words in clocks].count(True) == 1
            with target.transaction():
                report = run_checks(options(warehouse_conn_id="my_warehouse", ping=False, timeout=4))
        (locked,) = [one for one in report.findings if one.problem and one.problem.name == "warehouse_locked"]
        assert re.search(r"Held by PID \d+ of role postgres \(airflow-provider-toggl\), for \d+ s\.", locked.text)
        server.stop()
        report = run_checks(options(warehouse_conn_id="my_warehouse", ping=False))
        assert problems(report) >= {"limits_unavailable", "store_unreachable", "warehouse_unreachable"}


def test_a_default_store_is_a_fault_where_tasks_run_on_several_hosts(
    clinic: DoctorSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic.connect()
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    report = run_checks(options(ping=False))
    (found,) = [one for one in report.findings if one.problem and one.problem.name == "store_not_shared"]
    assert "tasks are run by CeleryExecutor" in found.text


@pytest.mark.parametrize(("seconds_ago", "alive"), [(-3600.0, ("triggerer-1",)), (500.0, ())])
def test_a_triggerer_is_alive_by_its_heartbeat(seconds_ago: float, alive: tuple[str, ...]) -> None:
    with triggerer_job(seconds_ago=seconds_ago):
        found = find_triggerers("toggl_default", "")
    assert found.alive == alive
    assert found.last_heartbeat is not None
    assert seconds_ago <= found.last_heartbeat < seconds_ago + 600
    assert found.triggers == 0


def test_only_triggers_that_read_the_same_store_and_wait_in_a_live_triggerer_count() -> None:
    from airflow.jobs.job import Job
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    with triggerer_job(seconds_ago=-3600):
        with create_session(scoped=False) as session:
            (job_id,) = session.scalars(select(Job.id)).all()
            for owner, store in ((job_id, ""), (job_id, None), (job_id, "elsewhere"), (None, "")):
                row = Trigger.from_object(TogglEventTrigger(event_store_conn_id=store, once=True))
                row.triggerer_id = owner
                session.add(row)
        try:
            assert find_triggerers("toggl_default", "").triggers == 2
            assert find_triggerers("toggl_other", "").triggers == 1
            assert find_triggerers("toggl_other", "elsewhere").triggers == 1
        finally:
            with create_session(scoped=False) as session:
                session.execute(delete(Trigger))
