"""The doctor with Airflow behind it: walks the whole way of an event and a row, and asks as little as it can."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError

from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, TogglError, WarehouseLocked
from airflow_provider_toggl.core.events.presence import ANSWER, QUESTION
from airflow_provider_toggl.core.events.store import EventStore, Mark
from airflow_provider_toggl.core.operate.doctor import store, triggerer, versions, warehouse
from airflow_provider_toggl.core.operate.doctor.account import judge_offset
from airflow_provider_toggl.core.operate.doctor.account_steps import look_at_account
from airflow_provider_toggl.core.operate.doctor.context import CheckContext, CheckOptions
from airflow_provider_toggl.core.operate.doctor.states import CHECKS
from airflow_provider_toggl.core.operate.doctor.timeout import CheckTimeout
from airflow_provider_toggl.core.operate.doctor.webhook_steps import look_at_callback, look_at_subscription
from airflow_provider_toggl.core.operate.findings import Finding, Report, fine, trouble, unknown
from airflow_provider_toggl.hooks.connections import (
    ConnectionNotFound,
    find_connection,
    get_toggl_fields,
)
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.subscriptions import get_callback_url
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.triggerers import find_triggerers
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, build_target, default_path


def run_checks(order: CheckOptions) -> Report:
    """Walk through all steps and return what was found; raises nothing for what is wrong with what it looks at."""
    visit = CheckContext(order)
    try:
        visit.add(*versions.check_versions(versions.find_versions()))
    except PackageNotFoundError as error:
        visit.add(unknown("versions", f"The metadata of {error.name} are not there: it is not installed."))
    try:
        if _look_at_connection(visit):
            look_at_account(visit)
            _look_at_store(visit)
            look_at_subscription(visit)
            look_at_callback(visit)
            _look_at_triggerer(visit)
        else:
            others = (step for step in CHECKS if step not in ("versions", "connection", "warehouse"))
            visit.skip("It needs the connection.", *others)
        _look_at_warehouse(visit)
    finally:
        if visit.store is not None:
            visit.store.close()
    return Report.of(visit.findings, visit.session.spent if visit.session else 0)


def _look_at_connection(visit: CheckContext) -> bool:
    conn_id = visit.order.conn_id
    retry = RetryPolicy(tries=2, longest=visit.order.patience, base=0.25, cap=1.0)
    try:
        fields = visit.within(lambda: get_toggl_fields(conn_id))
        visit.extra = fields.read_all()
        visit.session = visit.within(lambda: TogglHook(conn_id).open_session(retry))
    except ConnectionNotFound as error:
        visit.add(trouble("connection_missing", str(error)))
        return False
    except CheckTimeout as error:
        visit.add(trouble("connection_missing", f"Airflow does not give connection {conn_id!r}: {error}"))
        return False
    except ConfigurationError as error:
        visit.add(trouble("connection_wrong", str(error)))
        return False
    visit.session.before_wait = visit.note_wait
    # What is kept back of the quota is kept for people; whoever runs the doctor is one.
    visit.session.reserve = 0
    troubles = []
    if visit.order.callback_url or visit.extra.get("webhook_callback_url"):
        try:
            visit.callback_url = get_callback_url(conn_id, visit.order.callback_url)
        except ConfigurationError as error:
            troubles.append(trouble("connection_wrong", str(error)))
    if visit.extra.get("workspace_id") in (None, ""):
        troubles.append(trouble("no_workspace", f"Connection {conn_id!r} names no workspace."))
    if visit.wants_webhooks and not visit.secret:
        words = f"Connection {conn_id!r} has webhook_callback_url" if visit.extra.get("webhook_callback_url") else ""
        troubles.append(
            trouble("no_webhook_secret", f"{words or 'A callback is given'}, and there is no webhook_secret.")
        )
    if visit.extra.get("previous_webhook_secret"):
        troubles.append(trouble("two_secrets", f"Connection {conn_id!r} accepts two webhook secrets."))
    there = [name for name in ("workspace_id", "webhook_secret", "webhook_callback_url") if visit.extra.get(name)]
    visit.add(*troubles or [fine("connection", f"Connection {conn_id!r} has a token, {', '.join(there)}.")])
    return True


def _look_at_store(visit: CheckContext) -> None:
    order = visit.order
    visit.asked = secrets.token_hex(8)

    def write() -> tuple[EventStore, float]:
        opened = open_event_store(order.conn_id)
        try:
            began = time.monotonic()
            # What proves that it can be written is what a triggerer is to see.
            opened.keep_mark(Mark(QUESTION, visit.asked, datetime.now(timezone.utc)))
        except BaseException:
            opened.close()
            raise
        return opened, time.monotonic() - began

    try:
        opened, seconds = visit.within(write)
    except TogglError as error:
        visit.add(store.judge_store_error(error))
        return
    except CheckTimeout as error:
        visit.add(trouble("store_unreachable", str(error)))
        return
    visit.store = opened
    try:
        facts = visit.within(lambda: opened.inspect(order.patience / 2))
    except (TogglError, CheckTimeout) as error:
        visit.add(store.judge_store_error(error) if isinstance(error, TogglError) else unknown("store", str(error)))
        return
    visit.add(*store.check_store(facts, seconds=seconds))


def _look_at_triggerer(visit: CheckContext) -> None:
    try:
        store_conn_id = str(visit.extra.get("event_store_conn_id") or "")
        found = visit.within(lambda: find_triggerers(visit.order.conn_id, store_conn_id))
    except CheckTimeout as error:
        visit.add(unknown("triggerer", f"Airflow's metadata database: {error}"))
        return
    except Exception as error:  # noqa: BLE001 - whatever a database driver raises
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        visit.add(unknown("triggerer", f"Airflow's metadata database cannot be asked ({reason})."))
        return
    if visit.store is None:
        if found.alive:
            visit.skip("It needs the event store.", "triggerer")
        else:
            visit.add(triggerer.check_triggerer(found, None, patience=0))
        return
    patience = visit.order.patience / 2
    answered = None
    if found.alive and found.triggers:
        with suppress(CheckTimeout):
            answered = visit.within(lambda: _await_answer(visit, patience))
    visit.add(triggerer.check_triggerer(found, answered, patience=patience))


def _await_answer(visit: CheckContext, patience: float) -> float | None:
    """Return how many seconds after the question a tail answered it, None where none did in time."""
    opened = visit.store
    assert opened is not None  # noqa: S101 - asked before
    deadline = time.monotonic() + patience
    try:
        question = opened.find_mark(QUESTION)
        while question is not None:
            answer = opened.find_mark(ANSWER)
            if answer is not None and answer.value == visit.asked:
                return max(0.0, (answer.made_at - question.made_at).total_seconds())
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
    except TogglError as error:
        visit.add(store.judge_store_error(error))
    return None


def _look_at_warehouse(visit: CheckContext) -> None:
    order = visit.order
    conn_id = order.warehouse_conn_id or DEFAULT_CONN_ID
    where = f"warehouse {conn_id!r}, schema {order.schema!r}"
    try:
        if order.warehouse_conn_id is None and not visit.within(
            lambda: _has_connection(conn_id) or default_path().exists()
        ):
            why = f"There is neither a connection {conn_id!r} nor the default file; name one to look at."
            visit.skip(why, "warehouse")
            return
        # Half of the time to wait for others, so that there is some left to say so.
        visit.add(*visit.within(lambda: _judge_warehouse(conn_id, order.schema, where, order.patience / 2)))
    except TogglError as error:
        visit.add(warehouse.judge_warehouse_error(error))
    except CheckTimeout as error:
        visit.add(trouble("warehouse_unreachable", f"{where}: {error}"))


def _judge_warehouse(conn_id: str, schema: str, where: str, patience: float) -> list[Finding]:
    from airflow_provider_toggl.core.load.migrations import MIGRATIONS  # noqa: PLC0415 - loads DuckDB

    with build_target(conn_id, schema, patience) as target:
        version = target.find_version()
        wrong = warehouse.check_version(version, len(MIGRATIONS), where)
        if wrong is not None:
            # Whoever opened it further would apply the migrations.
            return [wrong]
        try:
            target.try_write()
        except WarehouseLocked as error:
            holders = "".join(f" Held by {one}." for one in target.find_holders())
            return [trouble("warehouse_locked", f"{error}{holders}")]
        now = target.read_clock()
        clock = [] if now is None else [judge_offset("the warehouse's server", SystemClock().now() - now)]
        return [*clock, *warehouse.check_freshness(where, version, target.last_runs(), datetime.now(timezone.utc))]


def _has_connection(conn_id: str) -> bool:
    return find_connection(conn_id, parameter="warehouse_conn_id") is not None
