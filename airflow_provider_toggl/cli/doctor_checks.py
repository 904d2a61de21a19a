"""The doctor with Airflow's connections: runs all checks along the way of an event and a row, with few requests."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError
from typing import Any

from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, TogglError, WarehouseLocked
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import PROBE, REPLY
from airflow_provider_toggl.core.operate.doctor import databases, versions
from airflow_provider_toggl.core.operate.doctor.account import check_account, judge_clock
from airflow_provider_toggl.core.operate.doctor.context import CHECKS, CheckContext, CheckOptions, CheckTimeout
from airflow_provider_toggl.core.operate.doctor.databases import TriggererFacts
from airflow_provider_toggl.core.operate.doctor.webhooks import check_callback, check_subscription
from airflow_provider_toggl.core.operate.findings import CheckStatus, Finding, Report, ok, skipped, unknown
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.hooks.connections import (
    ConnectionNotFound,
    find_connection,
    get_callback_url,
    get_toggl_fields,
)
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.hosts import NotShared
from airflow_provider_toggl.hooks.settings import warehouse_path
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, build_warehouse

_POLL_SECONDS = 0.05
#: Triggers whose arguments are read: each must be decrypted, and one is enough.
_MAX_TRIGGERS = 200


def run_checks(options: CheckOptions) -> Report:
    """Run all checks and return their findings; does not raise for what is wrong with what it checks."""
    context = CheckContext(options)
    try:
        context.add(*versions.check_versions(versions.find_versions()))
    except PackageNotFoundError as error:
        context.add(unknown("versions", f"{error.name} is not installed: its metadata is missing."))
    try:
        if _check_connection(context):
            check_account(context)
            _check_store(context)
            check_subscription(context)
            check_callback(context)
            _check_triggerer(context)
        else:
            others = (one for one in CHECKS if one not in ("versions", "connection", "warehouse", "freshness"))
            context.skip("Needs the connection.", *others)
        _check_warehouse(context)
    finally:
        if context.store is not None:
            context.store.close()
    return context.report()


def _check_connection(context: CheckContext) -> bool:
    """Check the connection and open a session; return False if the connection cannot be used."""
    conn_id = context.options.conn_id
    retry = RetryPolicy(tries=2, longest=context.options.timeout, base=0.25, cap=1.0)
    try:
        fields = context.within(lambda: get_toggl_fields(conn_id))
        context.extra = fields.read_all()
        context.session = context.within(TogglHook(conn_id, retry=retry).get_conn)
        context.session.before_wait = context.record_wait
    except ConnectionNotFound as error:
        context.add(problem("connection_missing", str(error)))
        return False
    except CheckTimeout as error:
        context.add(problem("connection_missing", f"Airflow did not return connection {conn_id!r}: {error}"))
        return False
    except NotShared as error:
        context.add(problem("store_not_shared", str(error)))
        return False
    except ConfigurationError as error:
        context.add(problem("connection_wrong", str(error)))
        return False
    # The reserve of the quota is for people, and a person runs the doctor.
    context.session.reserve = 0
    context.add(*_judge_connection(context))
    return True


def _judge_connection(context: CheckContext) -> list[Finding]:
    conn_id, extra = context.options.conn_id, context.extra
    findings = []
    if context.options.callback_url or extra.get("webhook_callback_url"):
        try:
            context.callback_url = get_callback_url(conn_id, context.options.callback_url)
        except ConfigurationError as error:
            findings.append(problem("connection_wrong", str(error)))
    if extra.get("workspace_id") in (None, ""):
        findings.append(problem("no_workspace", f"Connection {conn_id!r} has no workspace_id."))
    if context.uses_webhooks and not context.secret:
        source = f"Connection {conn_id!r} has" if extra.get("webhook_callback_url") else "The options have"
        findings.append(
            problem("no_webhook_secret", f"{source} a webhook_callback_url but there is no webhook_secret.")
        )
    if extra.get("previous_webhook_secret"):
        findings.append(problem("two_secrets", f"Connection {conn_id!r} accepts two webhook secrets."))
    present = [name for name in ("workspace_id", "webhook_secret", "webhook_callback_url") if extra.get(name)]
    return findings or [ok("connection", f"Connection {conn_id!r} has a token, {', '.join(present)}.")]


def _check_store(context: CheckContext) -> None:
    """Open the event store, write the probe for the triggerer into it, and inspect it."""
    options = context.options
    context.probe = secrets.token_hex(8)

    def write() -> tuple[EventStore, float]:
        opened = open_event_store(options.conn_id)
        try:
            began = time.monotonic()
            opened.activity_log.set_status(PROBE, context.probe, datetime.now(timezone.utc))
        except BaseException:
            opened.close()
            raise
        return opened, time.monotonic() - began

    try:
        store, seconds = context.within(write)
    except TogglError as error:
        context.add(databases.judge_store_error(error))
        return
    except CheckTimeout as error:
        context.add(problem("store_unreachable", str(error)))
        return
    context.store = store
    try:
        facts = context.within(lambda: store.inspect(options.timeout / 2))
    except TogglError as error:
        context.add(databases.judge_store_error(error))
    except CheckTimeout as error:
        context.add(unknown("store", str(error)))
    else:
        context.add(*databases.judge_store(facts, seconds=seconds))


def _check_triggerer(context: CheckContext) -> None:
    """Check that a triggerer runs, and that its triggers answer the probe in the event store."""
    try:
        store_conn_id = str(context.extra.get("event_store_conn_id") or "")
        facts = context.within(lambda: find_triggerers(context.options.conn_id, store_conn_id))
    except CheckTimeout as error:
        context.add(unknown("triggerer", f"Airflow's metadata database: {error}"))
        return
    except Exception as error:  # noqa: BLE001 - whatever a database driver raises
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        context.add(unknown("triggerer", f"Airflow's metadata database cannot be read ({reason})."))
        return
    timeout = context.options.timeout / 2
    answered = None
    if facts.alive and context.store is None:
        context.skip("Needs the event store.", "triggerer")
        return
    if facts.alive and facts.triggers and context.store is not None:
        store = context.store
        with suppress(CheckTimeout):
            answered = context.within(lambda: _await_answer(context, store, timeout))
    context.add(databases.judge_triggerer(facts, answered, timeout=timeout))


def _await_answer(context: CheckContext, store: EventStore, timeout: float) -> float | None:
    """Return the seconds between the probe and its answer, None if no trigger answers in time."""
    deadline = time.monotonic() + timeout
    try:
        question = store.activity_log.find_status(PROBE)
        while question is not None:
            answer = store.activity_log.find_status(REPLY)
            if answer is not None and answer.value == context.probe:
                return max(0.0, (answer.recorded_at - question.recorded_at).total_seconds())
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
    except TogglError as error:
        context.add(databases.judge_store_error(error))
    return None


def _check_warehouse(context: CheckContext) -> None:
    """Check that the warehouse can be written and its streams are fresh."""
    options = context.options
    conn_id = options.warehouse_conn_id or DEFAULT_CONN_ID
    where = f"warehouse {conn_id!r}, schema {options.schema!r}"
    try:
        if options.warehouse_conn_id is None and not context.within(
            lambda: find_connection(conn_id, parameter="warehouse_conn_id") is not None or warehouse_path().exists()
        ):
            context.skip(f"There is no connection {conn_id!r} and no default file.", "warehouse", "freshness")
            return
        # Half of the time for the lock, so that some is left to report it.
        findings = context.within(lambda: _judge_warehouse(conn_id, options.schema, where, options.timeout / 2))
    except TogglError as error:
        findings = [databases.judge_warehouse_error(error)]
    except CheckTimeout as error:
        findings = [problem("warehouse_unreachable", f"{where}: {error}")]
    if not any(one.check == "freshness" for one in findings):
        findings.append(skipped("freshness", "Needs the warehouse."))
    context.add(*findings)


def _judge_warehouse(conn_id: str, schema: str, where: str, lock_timeout: float) -> list[Finding]:
    from airflow_provider_toggl.core.load.tables.migrations import MIGRATIONS  # noqa: PLC0415 - loads DuckDB

    with build_warehouse(conn_id, schema, lock_timeout) as target:
        version = target.find_version()
        found = databases.judge_schema(version, len(MIGRATIONS), where)
        if found.status is not CheckStatus.OK:
            # Opening it further would apply the migrations.
            return [found]
        try:
            target.try_write()
        except WarehouseLocked as error:
            holders = "".join(f" Held by {one}." for one in target.find_holders())
            return [problem("warehouse_locked", f"{error}{holders}")]
        server_time = target.read_clock()
        clock = []
        if server_time is not None:
            clock.append(judge_clock("the warehouse's server", SystemClock().now() - server_time))
        return [*clock, found, databases.judge_loads(where, target.last_runs(), datetime.now(timezone.utc))]


def find_triggerers(conn_id: str, store_conn_id: str) -> TriggererFacts:
    """Return the live triggerers, by Airflow's own threshold, and their triggers that read a store.

    Reads Airflow's metadata database, which only commands can access.

    :param conn_id: the Toggl connection whose store it is.
    :param store_conn_id: the store's connection, empty for the default store.
    """
    from airflow.jobs.job import Job, JobState  # noqa: PLC0415 - loads the metadata database's models
    from airflow.models.trigger import Trigger  # noqa: PLC0415 - likewise
    from airflow.utils.session import create_session  # noqa: PLC0415 - likewise
    from sqlalchemy import select  # noqa: PLC0415 - likewise

    with create_session(scoped=False) as session:
        jobs = session.scalars(select(Job).where(Job.job_type == "TriggererJob")).all()
        alive = [job for job in jobs if job.state == JobState.RUNNING and job.is_alive()]
        beats = [job.latest_heartbeat for job in jobs if job.latest_heartbeat is not None]
        here = Trigger.triggerer_id.in_([job.id for job in alive])
        own = Trigger.classpath.like("airflow_provider_toggl.%")
        ours = select(Trigger).where(own, here).order_by(Trigger.id.desc()).limit(_MAX_TRIGGERS)
        triggers = [row for row in session.scalars(ours) if _reads(row.kwargs, conn_id, store_conn_id)]
        return TriggererFacts(
            alive=tuple(str(job.hostname) for job in alive),
            last_heartbeat=(datetime.now(timezone.utc) - max(beats)).total_seconds() if beats else None,
            triggers=len(triggers),
        )


def _reads(arguments: Mapping[str, Any], conn_id: str, store_conn_id: str) -> bool:
    """Whether a trigger with these arguments reads that store."""
    named = arguments.get("event_store_conn_id")
    return bool(arguments.get("toggl_conn_id") == conn_id if named is None else named == store_conn_id)
