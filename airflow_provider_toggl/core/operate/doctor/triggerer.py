"""Whether a triggerer is alive, and its triggers see what comes into the event store."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_toggl.core.operate.findings import Finding, fine, trouble


@dataclass(frozen=True)
class TriggererFacts:
    """What Airflow knows of its triggerers.

    :param alive: hosts of those whose heartbeat is fresh.
    :param last_heartbeat: seconds since the last one of any, None where there never was one.
    :param triggers: how many triggers of this package wait, in the hands of one that is alive.
    """

    alive: tuple[str, ...]
    last_heartbeat: float | None
    triggers: int


def check_triggerer(found: TriggererFacts, answered_after: float | None, *, patience: float) -> Finding:
    """Return whether triggers see the store.

    :param answered_after: seconds after which a test mark in the store was answered, None where it was not.
    :param patience: seconds that were waited for it.
    """
    if not found.alive:
        since = found.last_heartbeat
        seen = "none was ever seen" if since is None else f"the last one was {since:.0f} s ago"
        return trouble("triggerer_down", f"No triggerer has a fresh heartbeat: {seen}.")
    hosts = ", ".join(sorted(set(found.alive)))
    if answered_after is not None:
        words = f"The triggerer ({hosts}) saw a test mark in the event store after {answered_after:.1f} s"
        return fine("triggerer", f"{words}; triggers of this package that wait there: {found.triggers}.")
    if found.triggers:
        words = f"Triggers of this package that wait at {hosts}: {found.triggers}"
        return trouble("triggerer_blind", f"{words}; within {patience:g} s none saw a test mark in the event store.")
    return trouble("nothing_waits", f"The triggerer ({hosts}) is alive, and no trigger of this package waits in it.")
