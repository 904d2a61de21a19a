"""What the walk does beside the ordered faults: what it skips, what it asks, and where it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clinics import Clinic, HostedReceiver, triggerer_job
from support.connections import Connections
from support.postgres import running_postgres

from airflow_provider_toggl.core.operate.doctor.context import CheckOptions
from airflow_provider_toggl.core.operate.doctor.states import CheckStatus
from airflow_provider_toggl.core.operate.findings import Report
from airflow_provider_toggl.hooks.doctor import run_checks
from airflow_provider_toggl.hooks.warehouse import open_target
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("metadata-jobs")]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=5, days=5, settings=Settings(quota_enforced=False)) as running:
        yield running


@pytest.fixture
def clinic(sandbox: RunningSandbox, connections: Connections, tmp_path: Path) -> Iterator[Clinic]:
    receiver = HostedReceiver()
    with triggerer_job(seconds_ago=-3600):
        yield Clinic(sandbox, connections, tmp_path, receiver)
    receiver.close()


def order(**fields: object) -> CheckOptions:
    return CheckOptions(**{"patience": 60.0, **fields})  # type: ignore[arg-type]


def states(report: Report) -> dict[str, CheckStatus]:
    return {one.step: one.state for one in report.findings}


def troubles(report: Report) -> set[str]:
    return {one.name for one in report.findings if one.name}


def test_who_uses_no_webhooks_and_landed_nothing_has_no_fault(clinic: Clinic) -> None:
    clinic.connect(webhook_secret=None, webhook_callback_url=None)
    report = run_checks(order())
    assert (report.exit_code, report.requests) == (0, 3)
    assert troubles(report) == {"nothing_waits", "no_tables"}
    assert states(report)["subscription"] is states(report)["callback"] is CheckStatus.SKIPPED


def test_no_ping_is_sent_where_none_is_wanted(clinic: Clinic) -> None:
    clinic.subscribe()
    before = clinic.sandbox.webhook_deliveries()["outcomes"]
    report = run_checks(order(ping=False))
    assert (report.exit_code, report.requests) == (0, 5)
    assert states(report)["callback"] is CheckStatus.SKIPPED
    assert clinic.sandbox.webhook_deliveries()["outcomes"] == before


def test_without_a_workspace_the_owner_s_own_is_looked_at(clinic: Clinic) -> None:
    clinic.connect(workspace_id=None, webhook_secret=None, webhook_callback_url=None)
    report = run_checks(order())
    assert "no_workspace" in troubles(report)
    assert (report.exit_code, states(report)["rights"]) == (0, CheckStatus.OK)


@pytest.mark.parametrize(("workspace_id", "found"), [(1, "no_workspace_access"), ("seven", "connection_wrong")])
def test_a_workspace_that_is_not_there_is_a_fault(clinic: Clinic, workspace_id: object, found: str) -> None:
    clinic.connect(workspace_id=workspace_id)
    report = run_checks(order())
    assert found in troubles(report)
    assert states(report)["plan"] is states(report)["subscription"] is CheckStatus.SKIPPED


def test_a_secret_that_only_the_receiver_s_side_lacks_and_another_address_are_told(clinic: Clinic) -> None:
    clinic.subscribe()
    report = run_checks(order(callback_url="https://127.0.0.1:1/elsewhere", patience=4))
    assert troubles(report) >= {"no_subscription", "callback_unreachable"}
    report = run_checks(order(callback_url=f"{clinic.receiver.url}/toggl/webhooks/toggl_other"))
    assert troubles(report) >= {"no_subscription", "unknown_connection"}
    report = run_checks(order(callback_url="ftp://nowhere"))
    assert "connection_wrong" in troubles(report)


def test_a_receiver_that_keeps_events_elsewhere_is_told(clinic: Clinic) -> None:
    clinic.subscribe()
    # The receiver holds the connection that it looked up; this process reads another store from now on.
    clinic.connections.set("my_events", conn_type="sqlite", host=str(clinic.folder / "other.sqlite"))
    clinic.connect(event_store_conn_id="my_events")
    report = run_checks(order(patience=4))
    assert troubles(report) & {"other_store", "ping_lost"} == {"other_store"}


def test_a_quota_of_the_workspace_that_is_gone_is_told_and_costs_no_more(clinic: Clinic) -> None:
    clinic.subscribe()
    clinic.sandbox.set(quota_enforced=True, organization_quota=1)
    report = run_checks(order())
    # It was enough for the workspace, and no more.
    assert "quota_gone" in troubles(report)
    assert (states(report)["rights"], states(report)["subscription"]) == (CheckStatus.OK, CheckStatus.SKIPPED)
    report = run_checks(order())
    assert [one.name for one in report.findings if one.name == "quota_gone"] == ["quota_gone"]
    assert states(report)["plan"] is states(report)["rights"] is states(report)["subscription"] is CheckStatus.SKIPPED
    assert report.requests == 2


def test_an_old_secret_that_is_still_accepted_is_worth_a_word(clinic: Clinic) -> None:
    clinic.connect(previous_webhook_secret="older-secret-77")
    report = run_checks(order(ping=False))
    assert "two_secrets" in troubles(report)
    assert "older-secret-77" not in str(report)


def test_what_is_asked_of_the_triggerer_is_no_event(clinic: Clinic) -> None:
    from airflow_provider_toggl.hooks.events import open_event_store

    clinic.subscribe()
    run_checks(order())
    with open_event_store("toggl_default") as store:
        assert (store.count(), store.last_seq()) == (0, 0)


def test_store_and_warehouse_in_postgres_are_looked_at_and_who_holds_them_is_told(clinic: Clinic) -> None:
    with running_postgres() as server:
        fields = {"host": "127.0.0.1", "port": server.port, "login": "postgres", "schema": "postgres"}
        for name in ("my_events", "my_warehouse"):
            clinic.connections.set(name, conn_type="postgres", **fields)
        clinic.connect(event_store_conn_id="my_events")
        clinic.subscribe()
        report = run_checks(order(warehouse_conn_id="my_warehouse"))
        assert troubles(report) == {"no_tables", "nothing_waits"}
        with open_target("my_warehouse", schema="toggl") as target:
            report = run_checks(order(warehouse_conn_id="my_warehouse", ping=False))
            assert troubles(report) == {"nothing_waits"}
            told = [one.what for one in report.findings if one.step == "clock"]
            assert ["event store" in words for words in told].count(True) == 1
            assert ["the warehouse" in words for words in told].count(True) == 1
            with target.transaction():
                report = run_checks(order(warehouse_conn_id="my_warehouse", ping=False, patience=4))
        (locked,) = [one for one in report.findings if one.name == "warehouse_locked"]
        assert re.search(r"Held by PID \d+ of role postgres \(airflow-provider-toggl\), for \d+ s\.", locked.what)
        server.stop()
        report = run_checks(order(warehouse_conn_id="my_warehouse", ping=False))
        assert troubles(report) >= {"store_unreachable", "warehouse_unreachable"}
