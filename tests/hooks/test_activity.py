from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from support.connections import Connections, all_logs
from support.fakes import FakeClock

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.operate.health.records import APPROVAL_DAYS, approval_key
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, waiting_key
from airflow_provider_toggl.hooks.activity import (
    approve_mass_deletion,
    claim_approval,
    clear_waiting,
    read_waiting,
    record_load,
    record_waiting,
    release_approval,
    use_up_approval,
)
from airflow_provider_toggl.hooks.events import default_store_path, open_event_store
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.hooks.subscriptions import open_webhooks
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow

CONN_ID = "toggl_default"


@pytest.fixture(autouse=True)
def _connected(connections: Connections) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32, extra={"workspace_id": 1})


def test_requested_subscriptions_are_recorded(sandbox: RunningSandbox, connections: Connections) -> None:
    connections.toggl(sandbox)
    assert read_health(CONN_ID).subscriptions is None
    assert open_webhooks(CONN_ID).subscriptions() == []
    assert read_health(CONN_ID).subscriptions == ()


def test_an_approval_is_valid_for_one_run_of_one_workspace() -> None:
    approve_mass_deletion(CONN_ID, 1, by="somebody")
    assert read_health(CONN_ID).approvals == (1,)
    assert not claim_approval(CONN_ID, 2, "run")
    assert not claim_approval("another", 1, "run")
    with all_logs() as lines:
        assert claim_approval(CONN_ID, 1, "run")
    assert "somebody approved" in "\n".join(lines)
    assert claim_approval(CONN_ID, 1, "run")
    assert not claim_approval(CONN_ID, 1, "another run")
    use_up_approval(CONN_ID, 1, "another run")
    assert claim_approval(CONN_ID, 1, "run")
    use_up_approval(CONN_ID, 1, "run")
    assert not claim_approval(CONN_ID, 1, "run")


def test_a_released_approval_expires_as_if_it_had_not_been_claimed() -> None:
    open_event_store(CONN_ID).close()
    given = datetime.now(timezone.utc) - timedelta(days=APPROVAL_DAYS, minutes=-1)
    with SqliteEventStore(default_store_path(), clock=FakeClock(given.timestamp())) as store:
        store.activity_log.set_status(approval_key(CONN_ID, 1), {"by": "somebody"})
    assert claim_approval(CONN_ID, 1, "run")
    release_approval(CONN_ID, 1, "run")
    with open_event_store(CONN_ID) as store:
        found = store.activity_log.find_status(approval_key(CONN_ID, 1))
    assert found is not None
    assert found.recorded_at == given
    assert claim_approval(CONN_ID, 1, "another run")


def test_an_expired_approval_is_not_used() -> None:
    open_event_store(CONN_ID).close()
    given = datetime.now(timezone.utc) - timedelta(days=APPROVAL_DAYS, minutes=1)
    with SqliteEventStore(default_store_path(), clock=FakeClock(given.timestamp())) as store:
        store.activity_log.set_status(approval_key(CONN_ID, 1), {"by": "somebody"})
    assert not claim_approval(CONN_ID, 1, "run")


def test_without_the_store_recording_warns_and_nothing_is_approved() -> None:
    open_event_store(CONN_ID).close()
    default_store_path().write_bytes(b"no database at all" * 100)
    with all_logs() as lines:
        record_load(CONN_ID, workspace_id=1, stream="tags", watermark=None, warehouse="x.y")
        assert not claim_approval(CONN_ID, 1, "run")
        use_up_approval(CONN_ID, 1, "run")
    logged = "\n".join(lines)
    assert "may show outdated data" in logged
    assert "approval of a mass deletion would be ignored" in logged
    assert "approval of a mass deletion stays valid" in logged
    with pytest.raises(TogglError):
        approve_mass_deletion(CONN_ID, 1, by="somebody")


def a_wait(task: str, until: datetime) -> WaitingTask:
    return WaitingTask(
        task=task,
        workspace_id=1,
        stream="time_entries",
        reason="quota",
        since=until - timedelta(minutes=50),
        until=until,
        requests_done=28,
        requests_left=72,
        done_at=until + timedelta(hours=2),
        rows_done=28_000,
    )


def test_waiting_tasks_are_ordered_by_the_end_of_their_wait_until_cleared() -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    late, soon = a_wait("a.late (run/1)", now + timedelta(hours=1)), a_wait("b.soon[2]", now + timedelta(minutes=1))
    record_waiting(CONN_ID, late)
    record_waiting(CONN_ID, soon)
    record_waiting("another", a_wait("c.other", now))
    assert read_waiting(CONN_ID) == (soon, late)
    clear_waiting(CONN_ID, soon.task)
    clear_waiting(CONN_ID, "no such task")
    assert read_waiting(CONN_ID) == (late,)


def test_the_record_of_a_killed_task_expires_and_is_removed_by_the_next_record() -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    killed, waits = a_wait("a.killed", now - timedelta(hours=2)), a_wait("a.waits", now + timedelta(minutes=5))
    record_waiting(CONN_ID, killed)
    assert read_waiting(CONN_ID) == ()
    record_waiting(CONN_ID, waits)
    with open_event_store(CONN_ID) as store:
        assert [note.name for note in store.activity_log.list_status("waiting/")] == [waiting_key(CONN_ID, "a.waits")]


def test_without_the_store_no_task_waits() -> None:
    open_event_store(CONN_ID).close()
    default_store_path().write_bytes(b"no database at all" * 100)
    record_waiting(CONN_ID, a_wait("a.task", datetime.now(timezone.utc)))
    clear_waiting(CONN_ID, "a.task")
    assert read_waiting(CONN_ID) == ()
