"""The rotation of the secret as the documentation describes it: real receiver, deliveries all the time."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections
from support.deliveries import event_body
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.operators.subscriptions import (
    TogglEnsureSubscriptionOperator,
    TogglPingSubscriptionOperator,
)
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(180)]

SECRETS = ("first-secret-51b0", "second-secret-a2c4", "third-secret-90ff")
KINDS = ("create", "late_edit", "retime", "rename_project")


class Setup:
    """A receiver, a workspace, and the connection that both sides read."""

    def __init__(self, sandbox: RunningSandbox, connections: Connections, folder: Path) -> None:
        self._sandbox, self._connections = sandbox, connections
        self._file = folder / "connections.json"
        backend = {
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(self._file)}),
        }
        self.receiver = ReceiverProcess(folder / "home", env=backend)

    def set_secrets(self, **secrets: str) -> None:
        """Save the connection, as a person would in its form."""
        new = self._file.with_suffix(".new.json")
        new.write_text(json.dumps({"toggl_default": {"conn_type": "toggl", "extra": json.dumps(secrets)}}))
        new.rename(self._file)
        url = self.receiver.url if self.receiver.process else "https://not.yet.example.org"
        self._connections.toggl(self._sandbox, **{"webhook_callback_url": url, **secrets})

    def ensure(self, **options: Any) -> dict[str, Any]:
        fields = {"description": "airflow", "filters": "*:*", **options}
        return TogglEnsureSubscriptionOperator(task_id="ensure", **fields).execute({})

    def stored(self) -> set[int]:
        with SqliteEventStore(self.receiver.store_path) as store:
            return {one.event.event_id for one in store.read(0, limit=100_000)}


@pytest.fixture
def setup(sandbox: RunningSandbox, connections: Connections, tmp_path: Path) -> Iterator[Setup]:
    made = Setup(sandbox, connections, tmp_path)
    made.set_secrets(webhook_secret=SECRETS[0])
    with made.receiver:
        made.set_secrets(webhook_secret=SECRETS[0])
        yield made


@contextmanager
def changes_all_the_time(sandbox: RunningSandbox) -> Iterator[None]:
    """Let somebody change things meanwhile."""
    stopping, seeds = threading.Event(), itertools.count()

    def change() -> None:
        while not stopping.wait(0.05):
            sandbox.mutate(seed=next(seeds), n=3, kinds=KINDS)

    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(30)


@pytest.mark.parametrize("shown", [True, False], ids=["toggl shows the secret", "toggl hides it"])
def test_a_secret_is_rotated_step_by_step_under_load_and_no_delivery_is_lost(
    sandbox: RunningSandbox, setup: Setup, shown: bool
):
    sandbox.set(webhook_list_returns_secret=shown)
    # Copies that come later than what they copy.
    sandbox.webhook_fault("duplicate", probability=0.2, seconds=0.5)
    number = setup.ensure()["subscription_id"]
    with changes_all_the_time(sandbox):
        for turn, (old, new) in enumerate(itertools.pairwise(SECRETS)):
            setup.set_secrets(webhook_secret=new, previous_webhook_secret=old)
            result = setup.ensure(rotate_secret=not shown)
            assert (result["subscription_id"], result["action"]) == (number, "replace")
            assert (result["differences"], result["enabled"], result["validated"]) == (["secret"], True, True)
            TogglPingSubscriptionOperator(task_id="ping", subscription_id=number).execute({})
            wait_until(more_than(setup, len(setup.stored()) + 20), timeout=60)
            # What Toggl signed before the change and delivers, or delivers again, only now.
            assert setup.receiver.deliver(event_body(1 + turn), secret=old).status_code == 200
            assert setup.ensure()["action"] == "nothing"
            setup.set_secrets(webhook_secret=new)
            wait_until(more_than(setup, len(setup.stored()) + 20), timeout=60)
    assert sandbox.flush_webhooks(timeout=60) == 0
    assert {event["event_id"] for event in sandbox.webhook_events()} <= setup.stored()
    # Not one was refused on the way.
    assert set(sandbox.webhook_deliveries()["outcomes"]) == {"ping_delivered", "event_delivered"}
    assert setup.receiver.deliver(event_body(99), secret=SECRETS[0]).status_code == 401


def more_than(setup: Setup, count: int) -> Callable[[], bool]:
    return lambda: len(setup.stored()) > count
