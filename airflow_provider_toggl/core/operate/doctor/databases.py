"""Checks of the event store, of the triggerer that reads it, and of the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_toggl.core.errors import (
    DatabaseFault,
    EventStoreDamaged,
    EventStoreError,
    EventStoreTooNew,
    SchemaTooNew,
    TogglError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.events.model import StoreFacts
from airflow_provider_toggl.core.operate.doctor.account import judge_clock
from airflow_provider_toggl.core.operate.findings import Finding, ok
from airflow_provider_toggl.core.operate.health.diagnosis import STALE_AFTER
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.core.wording import ago, plural

LOW_BYTES, FULL_BYTES = 500 << 20, 1 << 20
"""Free bytes of the store's disk below which it is a warning, and a fault."""
_PROBLEM_OF_FAULT = {
    DatabaseFault.DISK_FULL: "disk_full",
    DatabaseFault.LOCKED: "store_locked",
    DatabaseFault.READ_ONLY: "store_read_only",
}
_PROBLEM_OF_WAREHOUSE: dict[type[TogglError], str] = {
    WarehouseLocked: "warehouse_locked",
    WarehouseReadOnly: "warehouse_read_only",
    SchemaTooNew: "schema_too_new",
}
_ADDED_BY_VERSION = {2: "days that changed", 3: "history", 4: "primary keys"}


@dataclass(frozen=True)
class TriggererFacts:
    """What Airflow's metadata database has about triggerers.

    :param alive: hosts of those with a fresh heartbeat.
    :param last_heartbeat: seconds since the last heartbeat of any, None if there never was one.
    :param triggers: number of this package's triggers that run in a live triggerer.
    """

    alive: tuple[str, ...]
    last_heartbeat: float | None
    triggers: int


def judge_store_error(error: TogglError) -> Finding:
    """Return the finding of an error of the event store."""
    text = str(error)
    if isinstance(error, EventStoreTooNew):
        return problem("store_too_new", text)
    if isinstance(error, EventStoreDamaged):
        return problem("store_damaged", text)
    fault = error.fault if isinstance(error, EventStoreError) else DatabaseFault.OTHER
    return problem(_PROBLEM_OF_FAULT.get(fault, "store_unreachable"), text)


def judge_store(facts: StoreFacts, *, seconds: float) -> list[Finding]:
    """Return the findings of a store after a test write.

    :param seconds: duration of the write.
    """
    findings = []
    if facts.damage is not None:
        findings.append(problem("store_damaged", f"Integrity check of {facts.where}: {facts.damage}"))
    free = facts.free_bytes
    if free is not None and free < LOW_BYTES:
        name = "disk_full" if free < FULL_BYTES else "disk_low"
        findings.append(problem(name, f"The disk of {facts.where} has {free / 2**20:,.0f} MiB left."))
    findings += [problem("store_not_durable", f"{facts.where}: {risk}.") for risk in facts.risks]
    if not findings:
        space = "" if free is None else f", {free / 2**30:,.1f} GiB free"
        text = f"{facts.where} (version {facts.version}): durable write in {seconds * 1000:.0f} ms{space}."
        findings.append(ok("store", text))
    if facts.clock_off is not None:
        findings.append(judge_clock("the event store's server", -facts.clock_off))
    return findings


def judge_triggerer(facts: TriggererFacts, answered_after: float | None, *, timeout: float) -> Finding:
    """Return whether a triggerer runs and its triggers read the event store.

    :param answered_after: seconds until a trigger answered the probe in the store, None if none did.
    :param timeout: seconds that the probe waited.
    """
    if not facts.alive:
        since = facts.last_heartbeat
        seen = "no heartbeat was ever recorded" if since is None else f"the last one was {since:.0f} s ago"
        return problem("triggerer_down", f"No triggerer has a fresh heartbeat: {seen}.")
    hosts = ", ".join(sorted(set(facts.alive)))
    waiting = f"{plural(facts.triggers, 'trigger')} of this package"
    if answered_after is not None:
        return ok("triggerer", f"{hosts}: saw a probe in the event store after {answered_after:.1f} s; {waiting}.")
    if facts.triggers:
        return problem("triggerer_blind", f"{hosts}: {waiting}, but none answered a probe within {timeout:g} s.")
    return problem("nothing_waits", f"{hosts}: alive, without a trigger of this package.")


def judge_warehouse_error(error: TogglError) -> Finding:
    """Return the finding of an error of the warehouse."""
    return problem(_PROBLEM_OF_WAREHOUSE.get(type(error), "warehouse_unreachable"), str(error))


def judge_schema(version: int, newest: int, where: str) -> Finding:
    """Return the finding of the version of the tables.

    :param version: of the tables, 0 if there are none.
    :param newest: the version of this package.
    """
    if version == 0:
        return problem("no_tables", f"{where} has no tables of this package.")
    if version < newest:
        steps = [
            f"{step} ({_ADDED_BY_VERSION[step]})" if step in _ADDED_BY_VERSION else str(step)
            for step in range(version + 1, newest + 1)
        ]
        text = f"The tables in {where} have version {version}, this package has {newest}; missing: {', '.join(steps)}."
        return problem("schema_too_old", text)
    return ok("warehouse", f"{where} is writable, its tables have version {version}.")


def judge_loads(where: str, last_loads: Sequence[tuple[str, datetime]], now: datetime) -> Finding:
    """Return whether each stream was loaded recently.

    :param last_loads: streams with the time of their last load, aware.
    """
    stale = [f"{stream} ({ago(at, now)})" for stream, at in last_loads if now - at > STALE_AFTER]
    if stale:
        return problem("data_stale", f"Not loaded into {where} recently: {', '.join(stale)}.")
    newest = max((at for _, at in last_loads), default=None)
    return ok("freshness", "Nothing loaded yet." if newest is None else f"Last load {ago(newest, now)}.")
