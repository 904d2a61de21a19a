"""Records that tasks leave in the activity log for the page, ``status`` and ``quota``.

If the event store is down, recording logs a warning and the task goes on. Actions of a person raise instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, waiting_from, waiting_key
from airflow_provider_toggl.hooks.events import open_event_store

if TYPE_CHECKING:
    from airflow_provider_toggl.core.client.resources.subscriptions import Subscription
    from airflow_provider_toggl.core.events.activity_log import ActivityLog

T = TypeVar("T")
log = logging.getLogger(__name__)


def use_activity_log(
    conn_id: str, use: Callable[[ActivityLog], T], effect: str = "The Toggl page may show outdated data"
) -> T | None:
    """Call a function with the activity log of a connection; log a warning and return None if the store is down.

    :param effect: what the warning says follows from that.
    """
    try:
        with open_event_store(conn_id) as store:
            return use(store.activity_log)
    except TogglError as error:
        log.warning("%s for connection %r: %s", effect, conn_id, error)
        return None


def record_subscriptions(conn_id: str, workspace_id: int, found: list[Subscription]) -> None:
    """Record the subscriptions of a workspace as Toggl returned them."""
    value = {"subscriptions": [one.as_dict() for one in found]}
    use_activity_log(
        conn_id, lambda activity: activity.set_status(records.subscriptions_key(conn_id, workspace_id), value)
    )


def record_subscription_change(
    conn_id: str, workspace_id: int, subscription_id: int, fields: Mapping[str, Any] | None
) -> None:
    """Record what a request changed in a subscription.

    :param fields: the new values, named as in ``Subscription.as_dict``; None: it was deleted.
    """
    use_activity_log(
        conn_id,
        lambda activity: records.record_subscription_change(activity, conn_id, workspace_id, subscription_id, fields),
    )


def record_declaration(conn_id: str, declaration: Mapping[str, object]) -> None:
    """Record the subscription that a task declares, without its secret, so that the page can create or repair it."""
    use_activity_log(conn_id, lambda activity: activity.set_status(records.declaration_key(conn_id), declaration))


def record_load(
    conn_id: str, *, workspace_id: int, stream: str, watermark: str | None, warehouse: str, skipped: str = ""
) -> None:
    """Record how far a stream has been loaded now.

    :param watermark: RFC 3339, None during the first load.
    :param warehouse: connection and schema.
    :param skipped: why Toggl refused the stream; empty if it did not.
    """
    load: dict[str, Any] = {
        "workspace_id": workspace_id,
        "stream": stream,
        "watermark": watermark,
        "warehouse": warehouse,
        "skipped": skipped,
    }
    now = datetime.now(timezone.utc)
    use_activity_log(conn_id, lambda activity_log: records.record_load(activity_log, conn_id, **load, ran_at=now))


def record_reconciliation(
    conn_id: str, summary: Mapping[str, object], *, warehouse: str, refused: str | None = None
) -> None:
    """Record the result of a reconciliation that ended now.

    :param summary: as ``ReconcileSummary.as_dict`` returns it.
    :param warehouse: connection and schema.
    :param refused: why it did not mark deletions, None if it did.
    """
    now = datetime.now(timezone.utc)
    use_activity_log(
        conn_id,
        lambda activity: records.record_reconciliation(
            activity, conn_id, summary, warehouse=warehouse, ran_at=now, refused=refused
        ),
    )


def forget_warehouse(conn_id: str, warehouse: str) -> int:
    """Remove the records about a warehouse that is no longer loaded; return their number.

    :param warehouse: connection and schema.
    :raises TogglError: the event store cannot be used.
    """
    with open_event_store(conn_id) as store:
        keys = records.keys_of_warehouse(store.activity_log, conn_id, warehouse)
        return sum(store.activity_log.take_status(key) is not None for key in keys)


def record_waiting(conn_id: str, waiting: WaitingTask) -> None:
    """Record that a task waits, replacing its earlier record."""

    def record(activity: ActivityLog) -> None:
        for entry in activity.list_status(waiting_key(conn_id)):
            earlier = waiting_from(entry.value)
            if earlier is None or not earlier.is_current(waiting.since):
                # A task that was killed or cleared does not remove its record.
                activity.take_status(entry.name)
        activity.set_status(waiting_key(conn_id, waiting.task), waiting.as_dict())

    use_activity_log(conn_id, record)


def clear_waiting(conn_id: str, task: str) -> None:
    """Remove the record of a waiting task."""
    use_activity_log(conn_id, lambda activity: activity.take_status(waiting_key(conn_id, task)))


def read_waiting(conn_id: str) -> tuple[WaitingTask, ...]:
    """Return the waiting tasks of a connection by the end of their wait; none if the store cannot be read."""
    now = datetime.now(timezone.utc)
    found = use_activity_log(conn_id, lambda activity: activity.list_status(waiting_key(conn_id))) or []
    waiting = [one for one in (waiting_from(entry.value) for entry in found) if one is not None and one.is_current(now)]
    return tuple(sorted(waiting, key=lambda one: one.until))


def approve_mass_deletion(conn_id: str, workspace_id: int, by: str) -> None:
    """Let the next reconciliation of a workspace that finishes mark any number of entries as deleted.

    :param by: the name of the person who approves it.
    :raises TogglError: it cannot be recorded.
    """
    with open_event_store(conn_id) as store:
        store.activity_log.set_status(records.approval_key(conn_id, workspace_id), {"by": by})


def claim_approval(conn_id: str, workspace_id: int, run: str) -> bool:
    """Return whether a person approved a mass deletion, and no other run has claimed the approval.

    It stays claimed, also for retries, until ``use_up_approval`` or ``release_approval``. If the last try of a run is
    killed, the approval stays claimed; a person can approve again for another run.

    :param run: what all tries of the run have in common.
    """
    free = records.approval_key(conn_id, workspace_id)
    claimed = records.claimed_approval_key(conn_id, workspace_id, run)
    entry = use_activity_log(
        conn_id,
        lambda activity: activity.find_status(claimed) or activity.rename_status(free, claimed),
        "An approval of a mass deletion would be ignored",
    )
    if entry is None:
        return False
    if datetime.now(timezone.utc) - entry.recorded_at > timedelta(days=records.APPROVAL_DAYS):
        log.warning("The approval of a mass deletion by %s has expired and is not used.", entry.value.get("by"))
        use_up_approval(conn_id, workspace_id, run)
        return False
    log.warning("%s approved a mass deletion: this run may mark any number of entries.", entry.value.get("by"))
    return True


def use_up_approval(conn_id: str, workspace_id: int, run: str) -> None:
    """Remove the approval of a mass deletion that a run has claimed, after the run."""
    claimed = records.claimed_approval_key(conn_id, workspace_id, run)
    use_activity_log(
        conn_id,
        lambda activity: activity.take_status(claimed),
        "The approval of a mass deletion stays valid for this run",
    )


def release_approval(conn_id: str, workspace_id: int, run: str) -> None:
    """Let another run claim the approval of a mass deletion, after the last try of a run has failed."""
    free = records.approval_key(conn_id, workspace_id)
    claimed = records.claimed_approval_key(conn_id, workspace_id, run)
    use_activity_log(
        conn_id,
        lambda activity: activity.rename_status(claimed, free),
        "The approval of a mass deletion stays reserved for a failed run",
    )
