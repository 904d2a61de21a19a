"""Whether the event store takes events, and keeps them."""

from __future__ import annotations

from airflow_provider_toggl.core.errors import (
    DatabaseFault,
    EventStoreDamaged,
    EventStoreError,
    EventStoreTooNew,
    TogglError,
)
from airflow_provider_toggl.core.events.store import StoreFacts
from airflow_provider_toggl.core.operate.doctor.account import judge_offset
from airflow_provider_toggl.core.operate.findings import Finding, fine, trouble

LOW_BYTES, LEAST_BYTES = 500 << 20, 1 << 20
"""Free bytes of its disk from which on it is worth a warning, and a fault."""
_FINDINGS = {
    DatabaseFault.DISK_FULL: "disk_full",
    DatabaseFault.LOCKED: "store_locked",
    DatabaseFault.READ_ONLY: "store_read_only",
}


def judge_store_error(error: TogglError) -> Finding:
    """Return what an error of the store says."""
    text = str(error)
    if isinstance(error, EventStoreTooNew):
        return trouble("store_too_new", text)
    if isinstance(error, EventStoreDamaged):
        return trouble("store_damaged", text)
    fault = error.fault if isinstance(error, EventStoreError) else DatabaseFault.OTHER
    return trouble(_FINDINGS.get(fault, "store_unreachable"), text)


def check_store(facts: StoreFacts, *, seconds: float) -> list[Finding]:
    """Return how the store is kept, after something was written into it.

    :param seconds: how long the write took.
    """
    findings = []
    if facts.damage is not None:
        findings.append(trouble("store_damaged", f"The integrity check of {facts.where} says: {facts.damage}"))
    free = facts.free_bytes
    if free is not None and free < LOW_BYTES:
        name = "disk_full" if free < LEAST_BYTES else "disk_low"
        findings.append(trouble(name, f"The disk of {facts.where} has {free / 2**20:,.0f} MiB left."))
    findings += [trouble("store_not_durable", f"{facts.where}: {risk}.") for risk in facts.risks]
    if not findings:
        room = "" if free is None else f", {free / 2**30:,.1f} GiB free"
        words = f"{facts.where} (version {facts.version}) took a write durably in {seconds * 1000:.0f} ms{room}."
        findings.append(fine("store", words))
    if facts.clock_off is not None:
        findings.append(judge_offset("the event store's server", -facts.clock_off))
    return findings
