"""What tasks leave in the logbook for those who look; a store that is down fails no task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from airflow_provider_toggl.core.client.resources.subscriptions import Found
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.logbook import Logbook
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, waiting_from, waiting_key
from airflow_provider_toggl.hooks.events import open_event_store

T = TypeVar("T")
log = logging.getLogger(__name__)


def use_activity_log(conn_id: str, use: Callable[[Logbook], T]) -> T | None:
    """Use the logbook of a connection's event store; only warns, and returns None, where that is not possible."""
    try:
        with open_event_store(conn_id) as store:
            return use(store.logbook)
    except TogglError as error:
        log.warning("What the Toggl page shows of connection %r may be older than it is: %s", conn_id, error)
        return None


def record_subscriptions(conn_id: str, workspace_id: int, found: list[Found]) -> None:
    """Note what Toggl tells of a workspace's subscriptions."""
    value = {"subscriptions": [one.as_dict() for one in found]}
    use_activity_log(conn_id, lambda logbook: logbook.note(records.subscriptions_key(conn_id, workspace_id), value))


def record_subscription_change(
    conn_id: str, workspace_id: int, subscription_id: int, fields: Mapping[str, Any] | None
) -> None:
    """Note what a request changed in a workspace's subscriptions.

    :param fields: those that the subscription has now, as ``Found.as_dict`` names them; None: it is deleted.
    """
    use_activity_log(
        conn_id,
        lambda logbook: records.record_subscription_change(logbook, conn_id, workspace_id, subscription_id, fields),
    )


def record_declaration(conn_id: str, declaration: Mapping[str, object]) -> None:
    """Note which subscription a task declares, without its secret, so that a person can see to it once more."""
    use_activity_log(conn_id, lambda logbook: logbook.note(records.declaration_key(conn_id), declaration))


def record_load(conn_id: str, *, workspace_id: int, stream: str, watermark: str | None, warehouse: str) -> None:
    """Note how far a stream has been landed just now.

    :param watermark: RFC 3339, None while the first load goes on.
    :param warehouse: connection and schema.
    """
    use_activity_log(
        conn_id,
        lambda logbook: records.record_load(
            logbook,
            conn_id,
            records.LoadRecord(workspace_id, stream, watermark, datetime.now(timezone.utc), warehouse),
        ),
    )


def record_reconciliation(
    conn_id: str, summary: Mapping[str, object], *, warehouse: str, refused: str | None = None
) -> None:
    """Note what a reconciliation has proved just now.

    :param summary: as ``ReconcileSummary.as_dict`` gives it.
    :param warehouse: connection and schema.
    :param refused: why it did not mark what is missing.
    """
    now = datetime.now(timezone.utc)
    use_activity_log(
        conn_id,
        lambda logbook: records.record_reconciliation(
            logbook, conn_id, summary, warehouse=warehouse, ran_at=now, refused=refused
        ),
    )


def forget_warehouse(conn_id: str, warehouse: str) -> int:
    """Remove what tasks noted about loading a warehouse that is not loaded any more; return how many notes that were.

    :param warehouse: connection and schema.
    :raises TogglError: the event store cannot be used.
    """
    with open_event_store(conn_id) as store:
        names = records.keys_of_warehouse(store.logbook, conn_id, warehouse)
        return sum(store.logbook.take_note(name) is not None for name in names)


def record_waiting(conn_id: str, waiting: WaitingTask) -> None:
    """Record that a task waits; a later record of the same task replaces it."""

    def record(logbook: Logbook) -> None:
        for note in logbook.notes(waiting_key(conn_id)):
            earlier = waiting_from(note.value)
            if earlier is None or not earlier.is_current(waiting.since):
                # Its task was killed or cleared, so that nobody else removes it.
                logbook.take_note(note.name)
        logbook.note(waiting_key(conn_id, waiting.task), waiting.as_dict())

    use_activity_log(conn_id, record)


def clear_waiting(conn_id: str, task: str) -> None:
    """Record that a task waits no longer.

    :param task: as in the record.
    """
    use_activity_log(conn_id, lambda logbook: logbook.take_note(waiting_key(conn_id, task)))


def read_waiting(conn_id: str) -> tuple[WaitingTask, ...]:
    """Return the tasks of a connection that wait, by the end of their wait; none where the store cannot be read."""
    now = datetime.now(timezone.utc)
    found = use_activity_log(conn_id, lambda logbook: logbook.notes(waiting_key(conn_id))) or []
    waiting = [one for one in (waiting_from(note.value) for note in found) if one is not None and one.is_current(now)]
    return tuple(sorted(waiting, key=lambda one: one.until))


def approve_mass_deletion(conn_id: str, workspace_id: int, by: str) -> None:
    """Let the next reconciliation of a workspace mark any number of entries absent, once.

    :param by: who allows it.
    :raises TogglError: it cannot be noted.
    """
    with open_event_store(conn_id) as store:
        store.logbook.note(records.approval_key(conn_id, workspace_id), {"by": by})


def take_approval(conn_id: str, workspace_id: int) -> bool:
    """Return whether a person has allowed this run to mark any number of entries absent; no other run may then."""
    note = use_activity_log(conn_id, lambda logbook: logbook.take_note(records.approval_key(conn_id, workspace_id)))
    if note is None:
        return False
    if datetime.now(timezone.utc) - note.noted_at > timedelta(days=records.APPROVAL_DAYS):
        log.warning("The leave of %s to mark many entries absent is too old and was not used.", note.value.get("by"))
        return False
    log.warning("%s has allowed this run to mark any number of entries absent.", note.value.get("by"))
    return True
