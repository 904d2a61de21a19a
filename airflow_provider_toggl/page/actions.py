"""What a person can do from the page: each with what it changes, what it asks for, and what it says afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial

from airflow_provider_toggl.core.arguments import parse_whole, required
from airflow_provider_toggl.core.client.resources.ensure_subscription import ensure, switch
from airflow_provider_toggl.core.client.resources.subscriptions import Wanted, parse_filters
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.message import ACTIONS as WORDS
from airflow_provider_toggl.core.events.message import ENTITIES
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.hooks.activity import approve_mass_deletion, forget_warehouse
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.health import find_declaration
from airflow_provider_toggl.hooks.subscriptions import (
    find_validation_code,
    get_callback_url,
    get_webhook_secret,
    open_webhooks,
)
from airflow_provider_toggl.hooks.toggl import SOON
from airflow_provider_toggl.operators.replay import Replay, replay_log


@dataclass(frozen=True)
class FormField:
    """A field of the form that confirms.

    :param options: what can be chosen, None where anything can be typed.
    :param hint: how to write it.
    """

    name: str
    label: str
    value: str = ""
    options: tuple[tuple[str, str], ...] | None = None
    hint: str = ""


@dataclass(frozen=True)
class ActionRequest:
    """What somebody has confirmed.

    :param by: their name.
    :param values: of the fields.
    :param may_act: whether they may act in the name of another connection.
    """

    conn_id: str
    by: str
    values: Mapping[str, str]
    may_act: Callable[[str], bool]

    def number(self, name: str) -> int:
        """Return the whole number that a field has.

        :raises ConfigurationError: it has none.
        """
        number: int = required(partial(parse_whole, minimum=0))(name, self.values.get(name, ""))
        return number


@dataclass(frozen=True)
class Action:
    """One thing that can be done.

    :param consequence: what it changes, for whoever is to confirm it.
    :param fields: of a connection.
    :param run: does it, and returns what came of it in a sentence.
    :param is_offered: whether it is of a connection, and not of one delivery.
    """

    name: str
    title: str
    consequence: str
    run: Callable[[ActionRequest], str]
    fields: Callable[[Health], Sequence[FormField]] = lambda _: ()
    is_offered: bool = True


def _choose_subscription(health: Health) -> Sequence[FormField]:
    known = tuple(
        (str(one.subscription_id), f"{one.subscription_id} ({one.description})") for one in health.subscriptions or ()
    )
    return (FormField("subscription", "Subscription", known[0][0] if known else "", known or None),)


def _choose_workspace(health: Health) -> Sequence[FormField]:
    return (FormField("workspace", "Workspace", str(health.workspace_id or "")),)


def _declare_subscription(health: Health) -> Sequence[FormField]:
    declared = find_declaration(health.conn_id)
    filters = declared.get("filters") or ["*:*"]
    return (
        FormField("description", "Description", str(declared.get("description") or "airflow")),
        FormField(
            "filters", "Event filters", ", ".join(map(str, filters)), hint="entity:action, * is any; commas between"
        ),
    )


def _choose_warehouse(health: Health) -> Sequence[FormField]:
    warehouse = next((one.warehouse for one in health.streams if one.warehouse), "duckdb_default.toggl")
    conn_id, _, schema = warehouse.rpartition(".")
    return (FormField("warehouse", "Warehouse connection", conn_id), FormField("schema", "Schema", schema))


def _choose_noted_warehouse(health: Health) -> Sequence[FormField]:
    noted = {one.warehouse for one in health.streams} | {one.warehouse for one in health.reconciled}
    names = sorted(noted - {""})
    return (FormField("warehouse", "Warehouse", names[0] if names else "", tuple((one, one) for one in names) or None),)


def _look(order: ActionRequest) -> str:
    count = len(open_webhooks(order.conn_id, retry=SOON).subscriptions())
    return f"Toggl has {plural(count, 'subscription')}."


def _ping(order: ActionRequest) -> str:
    number = order.number("subscription")
    status = open_webhooks(order.conn_id, retry=SOON).ping(number)
    return f"Toggl posted a PING for subscription {number} and says: {status}."


def _enable(order: ActionRequest) -> str:
    number = order.number("subscription")
    webhooks = open_webhooks(order.conn_id, retry=SOON)
    switch(webhooks, number, True)
    return f"Subscription {number} is enabled."


def _ensure(order: ActionRequest) -> str:
    wanted = Wanted(
        description=order.values.get("description", "").strip(),
        filters=parse_filters(order.values.get("filters", ""), entities=ENTITIES, actions=WORDS),
        callback_url=get_callback_url(order.conn_id),
        secret=get_webhook_secret(order.conn_id),
        enabled=True,
    )
    if not wanted.description:
        raise ConfigurationError("A subscription needs a description: Toggl tells them apart by it.")
    webhooks = open_webhooks(order.conn_id, retry=SOON)
    ensured = ensure(webhooks, wanted, find_code=lambda number: find_validation_code(order.conn_id, number))
    done = (
        "was as declared already" if ensured.plan.action == "nothing" else f"is as declared now ({ensured.plan.action})"
    )
    return f"Subscription {ensured.subscription.subscription_id} {done}."


def _replay_log(order: ActionRequest) -> str:
    number, state = order.number("subscription"), Replay()
    webhooks = open_webhooks(order.conn_id, retry=SOON)
    with open_event_store(order.conn_id) as store:
        replay_log(webhooks, store, number, conn_id=order.conn_id, state=state)
    if not state.served:
        return "Toggl does not serve its log of deliveries here; the next pull finds what was missed."
    return f"Toggl's log had {plural(state.distinct, 'event')}; {state.appended:,} of them were missing here."


def _replay_delivery(order: ActionRequest) -> str:
    seq = order.number("delivery")
    with open_event_store(order.conn_id) as store:
        event = store.get(seq).event
        if event.conn_id != order.conn_id:
            raise ConfigurationError(f"Delivery {seq} is not of connection {order.conn_id!r}.")
        again = replace(
            event,
            received_at=datetime.now(timezone.utc),
            oddity=f"replayed from place {seq} by {order.by[:100]}",
            copy_of=seq,
        )
        (appended,) = store.append([again])
    return f"Delivery {seq} is in the store once more, in place {appended.seq}, for all who read."


def _land_rejected(order: ActionRequest) -> str:
    from airflow_provider_toggl.core.sync.redrive import land_rejected  # noqa: PLC0415 - landing is heavy; few ask for it
    from airflow_provider_toggl.hooks.warehouse import open_target  # noqa: PLC0415 - likewise

    conn_id, schema = order.values.get("warehouse", "").strip(), order.values.get("schema", "").strip()
    if not order.may_act(conn_id):
        # The field takes any text, and with it would go the rights of the API server.
        raise ConfigurationError(f"To land in connection {conn_id[:250]!r} you need the right to edit it.")
    with open_target(conn_id, schema=schema, lock_timeout=PATIENCE) as target:
        done = land_rejected(target)
    left = done.tried - done.landed
    return f"{plural(done.tried, 'rejected record')} tried again: {done.landed:,} landed, {left:,} not."


def _forget_warehouse(order: ActionRequest) -> str:
    warehouse = order.values.get("warehouse", "").strip()
    count = forget_warehouse(order.conn_id, warehouse)
    if not count:
        raise ConfigurationError(f"Nothing was noted of a warehouse {warehouse[:250]!r}.")
    return f"{plural(count, 'note')} about {warehouse} removed."


def _allow_mass_absence(order: ActionRequest) -> str:
    workspace_id = order.number("workspace")
    approve_mass_deletion(order.conn_id, workspace_id, order.by)
    return f"The next reconciliation of workspace {workspace_id} may mark any number of entries absent, once."


PATIENCE = 10.0
"""Seconds that a person waits for a warehouse that another process is writing."""

ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action(
            "look",
            "Ask Toggl",
            "Asks Toggl for the workspace's subscriptions, which costs one request of the quota. Changes nothing.",
            _look,
        ),
        Action(
            "ping",
            "Ping the callback",
            "Lets Toggl post a PING to the callback, which shows that it can be reached. One request of the quota.",
            _ping,
            _choose_subscription,
        ),
        Action(
            "enable",
            "Enable the subscription",
            "Enables the subscription again, for example after Toggl disabled it for failures. One or two requests.",
            _enable,
            _choose_subscription,
        ),
        Action(
            "ensure",
            "Ensure the subscription",
            "Sees to it that a subscription is there as declared, enabled and validated: creates, replaces or enables "
            "it in Toggl, or does nothing. One request where nothing is to do, some more else.",
            _ensure,
            _declare_subscription,
        ),
        Action(
            "replay",
            "Replay Toggl's log",
            "Fetches what Toggl attempted to deliver in the last week and stores what is missing here. Some requests, "
            "one for each page of the log.",
            _replay_log,
            _choose_subscription,
        ),
        Action(
            "land-rejected",
            "Land rejected records again",
            "Tries every record that could not be landed once more, for example after an upgrade, and removes those "
            "from rejected_records that can be. Opens the warehouse for writing; asks nothing of Toggl.",
            _land_rejected,
            _choose_warehouse,
        ),
        Action(
            "forget-warehouse",
            "Forget a warehouse",
            "Removes what this page knows of loading and reconciling a warehouse that is not loaded any more, so that "
            "it no longer counts as stale. Changes nothing in the warehouse; the next load is noted again.",
            _forget_warehouse,
            _choose_noted_warehouse,
        ),
        Action(
            "allow-mass-absence",
            "Allow one mass-absence run",
            "Lets the next reconciliation mark any number of entries absent that Toggl no longer shows. Only do this "
            "when you know that many were really deleted. It is good for one run, within seven days.",
            _allow_mass_absence,
            _choose_workspace,
        ),
        Action(
            "replay-delivery",
            "Replay this delivery",
            "Stores the delivery once more, as the newest one: whoever waits for such events wakes again, and the next "
            "landing lands it again, which changes nothing that is known better.",
            _replay_delivery,
            is_offered=False,
        ),
    )
}
