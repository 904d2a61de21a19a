"""The actions of the page: what each changes, the fields of its form, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial

from airflow_provider_toggl.core.arguments import parse_whole, required
from airflow_provider_toggl.core.client.resources.ensure_subscription import ensure_subscription, set_enabled
from airflow_provider_toggl.core.client.resources.subscriptions import SubscriptionSpec, parse_filters
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.entities import ACTIONS as EVENT_ACTIONS
from airflow_provider_toggl.core.events.entities import ENTITIES
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.hooks.activity import approve_mass_deletion, forget_warehouse
from airflow_provider_toggl.hooks.connections import get_callback_url, get_webhook_secret
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.health import find_declaration
from airflow_provider_toggl.hooks.subscriptions import find_validation_code, open_webhooks
from airflow_provider_toggl.hooks.toggl import INTERACTIVE_RETRY
from airflow_provider_toggl.operators.replay import ReplayProgress, replay_log

WAREHOUSE_LOCK_TIMEOUT = 10.0
"""Seconds that a person waits for a warehouse that another process writes to."""


@dataclass(frozen=True)
class FormField:
    """A field of the form that confirms an action.

    :param options: values to choose from, with their labels; None if any text can be typed.
    :param hint: how to write the value.
    """

    name: str
    label: str
    value: str = ""
    options: tuple[tuple[str, str], ...] | None = None
    hint: str = ""


@dataclass(frozen=True)
class ActionRequest:
    """A confirmed action.

    :param by: the name of the person.
    :param values: of the fields.
    :param may_act: returns whether the person may run actions for another connection.
    """

    conn_id: str
    by: str
    values: Mapping[str, str]
    may_act: Callable[[str], bool]

    def number(self, name: str) -> int:
        """Return the whole number in a field.

        :raises ConfigurationError: the value is not a whole number.
        """
        number: int = required(partial(parse_whole, minimum=0))(name, self.values.get(name, ""))
        return number


@dataclass(frozen=True)
class Action:
    """An action of the page.

    :param consequence: what it changes and costs, for the person who confirms it.
    :param run: runs it and returns the result as a sentence.
    :param fields: returns the fields of the form for a connection.
    :param is_offered: it is for a connection, and not for one delivery.
    """

    name: str
    title: str
    consequence: str
    run: Callable[[ActionRequest], str]
    fields: Callable[[Health], Sequence[FormField]] = lambda _: ()
    is_offered: bool = True


def _subscription_field(health: Health) -> Sequence[FormField]:
    known = tuple(
        (str(one.subscription_id), f"{one.subscription_id} ({one.description})") for one in health.subscriptions or ()
    )
    return (FormField("subscription", "Subscription", known[0][0] if known else "", known or None),)


def _workspace_field(health: Health) -> Sequence[FormField]:
    return (FormField("workspace", "Workspace", str(health.workspace_id or "")),)


def _declaration_fields(health: Health) -> Sequence[FormField]:
    declared = find_declaration(health.conn_id)
    filters = ", ".join(map(str, declared.get("filters") or ["*:*"]))
    return (
        FormField("description", "Description", str(declared.get("description") or "airflow")),
        FormField("filters", "Event filters", filters, hint="entity:action, separated by commas; * stands for any"),
    )


def _warehouse_fields(health: Health) -> Sequence[FormField]:
    warehouse = next((one.warehouse for one in health.streams if one.warehouse), "duckdb_default.toggl")
    conn_id, _, schema = warehouse.rpartition(".")
    return (FormField("warehouse", "Warehouse connection", conn_id), FormField("schema", "Schema", schema))


def _recorded_warehouse_field(health: Health) -> Sequence[FormField]:
    recorded = {one.warehouse for one in health.streams} | {one.warehouse for one in health.reconciliations}
    names = sorted(recorded - {""})
    options = tuple((one, one) for one in names) or None
    return (FormField("warehouse", "Warehouse", names[0] if names else "", options),)


def _check_subscriptions(request: ActionRequest) -> str:
    count = len(open_webhooks(request.conn_id, retry=INTERACTIVE_RETRY).subscriptions())
    return f"Toggl has {plural(count, 'subscription')}."


def _ping(request: ActionRequest) -> str:
    number = request.number("subscription")
    status = open_webhooks(request.conn_id, retry=INTERACTIVE_RETRY).ping(number)
    return f"Toggl posted a PING for subscription {number}. Its answer: {status}."


def _enable(request: ActionRequest) -> str:
    number = request.number("subscription")
    set_enabled(open_webhooks(request.conn_id, retry=INTERACTIVE_RETRY), number, True)
    return f"Subscription {number} is enabled."


def _ensure(request: ActionRequest) -> str:
    wanted = SubscriptionSpec(
        description=request.values.get("description", "").strip(),
        filters=parse_filters(request.values.get("filters", ""), entities=ENTITIES, actions=EVENT_ACTIONS),
        callback_url=get_callback_url(request.conn_id),
        secret=get_webhook_secret(request.conn_id),
        enabled=True,
    )
    if not wanted.description:
        raise ConfigurationError("The description is empty. Toggl identifies subscriptions by it.")
    webhooks = open_webhooks(request.conn_id, retry=INTERACTIVE_RETRY)
    ensured = ensure_subscription(
        webhooks, wanted, find_code=lambda number: find_validation_code(request.conn_id, number)
    )
    action = ensured.changes.action
    return f"Subscription {ensured.subscription.subscription_id}: {'unchanged' if action == 'nothing' else action}."


def _replay_log(request: ActionRequest) -> str:
    number, state = request.number("subscription"), ReplayProgress()
    webhooks = open_webhooks(request.conn_id, retry=INTERACTIVE_RETRY)
    with open_event_store(request.conn_id) as store:
        replay_log(webhooks, store, number, conn_id=request.conn_id, state=state)
    if not state.served:
        return "Toggl does not offer its log of deliveries here. The next pull loads what was missed."
    return f"{plural(state.distinct, 'event')} in Toggl's log; {state.appended:,} added here."


def _replay_delivery(request: ActionRequest) -> str:
    seq = request.number("delivery")
    with open_event_store(request.conn_id) as store:
        event = store.get(seq).event
        if event.conn_id != request.conn_id:
            raise ConfigurationError(f"Delivery {seq} does not belong to connection {request.conn_id!r}.")
        again = replace(
            event,
            received_at=datetime.now(timezone.utc),
            anomaly=f"replayed from seq {seq} by {request.by[:100]}",
            copy_of=seq,
        )
        (appended,) = store.append([again])
    return f"Delivery {seq:,} was stored again, with seq {appended.seq:,}."


def _redrive(request: ActionRequest) -> str:
    from airflow_provider_toggl.core.sync.redrive import redrive_rejected  # noqa: PLC0415 - loads pyarrow
    from airflow_provider_toggl.hooks.warehouse import open_warehouse  # noqa: PLC0415 - likewise

    conn_id, schema = request.values.get("warehouse", "").strip(), request.values.get("schema", "").strip()
    if not request.may_act(conn_id):
        # The field takes any text, and the load runs with the rights of the API server.
        raise ConfigurationError(
            f"You may not edit connection {conn_id[:250]!r}. Loading into it needs that permission."
        )
    with open_warehouse(conn_id, schema=schema, lock_timeout=WAREHOUSE_LOCK_TIMEOUT) as target:
        done = redrive_rejected(target)
    left = done.tried - done.loaded
    return f"{plural(done.tried, 'rejected record')}: {done.loaded:,} loaded, {left:,} still rejected."


def _forget_warehouse(request: ActionRequest) -> str:
    warehouse = request.values.get("warehouse", "").strip()
    count = forget_warehouse(request.conn_id, warehouse)
    if not count:
        raise ConfigurationError(f"There are no records of a warehouse {warehouse[:250]!r}.")
    return f"{plural(count, 'record')} of {warehouse} removed."


def _approve_mass_deletion(request: ActionRequest) -> str:
    workspace_id = request.number("workspace")
    approve_mass_deletion(request.conn_id, workspace_id, request.by)
    return f"The next reconciliation of workspace {workspace_id} may mark any number of entries as deleted, once."


ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            "check-subscriptions",
            "Check subscriptions",
            "Reads the workspace's subscriptions from Toggl. Costs 1 request. Changes nothing.",
            _check_subscriptions,
        ),
        Action(
            "ping",
            "Ping the callback",
            "Asks Toggl to post a PING to the callback, to test whether it can be reached. Costs 1 request.",
            _ping,
            _subscription_field,
        ),
        Action(
            "enable",
            "Enable the subscription",
            "Enables the subscription again, for example after Toggl disabled it. Costs 1 or 2 requests.",
            _enable,
            _subscription_field,
        ),
        Action(
            "ensure",
            "Ensure the subscription",
            "Creates, replaces or enables the subscription in Toggl so that it matches the declared one. "
            "Costs 1 request if unchanged, more otherwise.",
            _ensure,
            _declaration_fields,
        ),
        Action(
            "replay",
            "Replay Toggl's log",
            "Reads the deliveries of the last week from Toggl's log and stores those that are missing here. "
            "Costs 1 request per page of the log.",
            _replay_log,
            _subscription_field,
        ),
        Action(
            "redrive-rejected",
            "Redrive rejected records",
            "Loads the records in rejected_records again, for example after an upgrade, and removes those that "
            "succeed. Opens the warehouse for writing. Costs no request.",
            _redrive,
            _warehouse_fields,
        ),
        Action(
            "forget-warehouse",
            "Forget a warehouse",
            "Removes the records about a warehouse that is no longer loaded, so that it does not count as stale. "
            "Changes nothing in the warehouse. The next load is recorded again.",
            _forget_warehouse,
            _recorded_warehouse_field,
        ),
        Action(
            "approve-mass-deletion",
            "Approve a mass deletion",
            "Lets the next reconciliation mark any number of entries as deleted that Toggl no longer has. "
            "Approve it only if you know that many entries were deleted. Valid for one run, within 7 days.",
            _approve_mass_deletion,
            _workspace_field,
        ),
        Action(
            "replay-delivery",
            "Replay this delivery",
            "Stores the delivery again as the newest one. Sensors and watchers that match it wake again. Loading it "
            "again does not overwrite newer data.",
            _replay_delivery,
            is_offered=False,
        ),
    )
}
