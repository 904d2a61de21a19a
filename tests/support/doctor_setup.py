"""Everything that the doctor checks, in working order: sandbox, receiver, store, warehouse and triggerer.

A test then causes one fault.
"""

from __future__ import annotations

import argparse
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from support.connections import WEBHOOK_SECRET, Connections
from support.waiting import wait_until

from airflow_provider_toggl.cli import doctor
from airflow_provider_toggl.core.client.resources.subscriptions import SubscriptionFilter, SubscriptionSpec
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection
from airflow_provider_toggl.sandbox.server import RunningSandbox, listen

FILTERS = (
    SubscriptionFilter("time_entry", "created"),
    SubscriptionFilter("time_entry", "updated"),
    SubscriptionFilter("project", "*"),
)


@dataclass(frozen=True)
class DoctorReport:
    """The report of the doctor, and its exit code."""

    code: int
    report: dict[str, Any]

    def of(self, check: str) -> list[dict[str, Any]]:
        return [one for one in self.report["findings"] if one["check"] == check]

    def statuses(self) -> dict[str, str]:
        """Return the worst status of each check."""
        order = ("ok", "skipped", "unknown", "warning", "fault")
        found: dict[str, str] = {}
        for one in self.report["findings"]:
            found[one["check"]] = max(found.get(one["check"], "ok"), one["status"], key=order.index)
        return found

    def faults(self) -> set[str]:
        return {str(one["problem"]) for one in self.report["findings"] if one["status"] == "fault"}

    def fault(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.report["findings"] if one["problem"] == name]
        return found


class DoctorSetup:
    """A setup without faults."""

    def __init__(self, sandbox: RunningSandbox, connections: Connections, folder: Path, receiver: HostedReceiver):
        self.sandbox = sandbox
        self.connections = connections
        self.folder = folder
        self.receiver = receiver
        self.warehouse = folder / "warehouse.duckdb"
        connections.duckdb(path=self.warehouse)
        self.connect()

    def connect(self, **how: Any) -> None:
        """Set the Toggl connection; ``how`` as for ``Connections.toggl``."""
        self.connections.toggl(self.sandbox, **{"webhook_callback_url": self.receiver.url, **how})

    def subscribe(self, filters: tuple[SubscriptionFilter, ...] = FILTERS) -> int:
        """Create the subscription, and return its id."""
        from airflow_provider_toggl.hooks.subscriptions import open_webhooks

        wanted = SubscriptionSpec(
            "airflow", filters, f"{self.receiver.url}/toggl/webhooks/toggl_default", WEBHOOK_SECRET
        )
        return open_webhooks("toggl_default").create(wanted).subscription_id

    def load(self) -> None:
        """Create the tables of the warehouse, and record a load at this moment."""
        from airflow_provider_toggl.hooks.warehouse import open_warehouse

        with open_warehouse("duckdb_default", schema="toggl") as target:
            now = datetime.now(timezone.utc)
            target.load([], Progress("time_entries", str(self.sandbox.workspace_id), None, "{}", 1, now))

    def examine(self, *arguments: str, capsys: pytest.CaptureFixture[str]) -> DoctorReport:
        """Run the command, with a long timeout for each check, because the machine may be busy."""
        parser = argparse.ArgumentParser()
        doctor.add_arguments(parser)
        capsys.readouterr()
        code = doctor.run(parser.parse_args(["--json", "--timeout", "60", *arguments]))
        printed = capsys.readouterr()
        for secret in (self.sandbox.token, WEBHOOK_SECRET):
            assert secret not in printed.out + printed.err
        return DoctorReport(code, json.loads(printed.out))


class HostedReceiver:
    """The receiver with Airflow's connections, in a thread of this process.

    :param secret: used instead of the connection's, as by a process that was started before a change.
    :param port: 0 for a free one.
    """

    def __init__(self, *, secret: str | None = None, port: int = 0) -> None:
        from airflow_provider_toggl.hooks.receiver import find_receiving_connection, open_receiving_store

        def look_up(conn_id: str) -> ReceivingConnection | None:
            found = find_receiving_connection(conn_id)
            return replace(found, secrets=(secret,)) if found and secret else found

        self._socket = listen("127.0.0.1", port)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(
            Receiver(["toggl_default"], look_up, open_receiving_store),
            log_level="error",
            access_log=False,
            lifespan="on",
            ws="none",
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, timeout=20)

    def close(self) -> None:
        """Stop the receiver; its port refuses connections afterwards."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()


@contextmanager
def triggerer_job(*, seconds_ago: float) -> Iterator[None]:
    """Add a triggerer with a given last heartbeat to Airflow's metadata database.

    :param seconds_ago: negative for a heartbeat in the future, which stays fresh however long a test takes.
    """
    from airflow.jobs.job import Job, JobState
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    beat = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
    with create_session(scoped=False) as session:
        session.execute(delete(Job))
        job = Job(job_type="TriggererJob", state=JobState.RUNNING)
        job.latest_heartbeat, job.hostname = beat, "triggerer-1"
        session.add(job)
    try:
        yield
    finally:
        with create_session(scoped=False) as session:
            session.execute(delete(Job))
