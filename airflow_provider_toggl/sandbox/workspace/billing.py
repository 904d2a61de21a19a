"""What time is worth: the hourly rate of a time entry, and amounts in cents."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import World


def rate_of(world: World, entry: TimeEntry) -> int | None:
    """Return the hourly rate of a time entry in cents; None if the plan, the project or the entry has none."""
    if not entry.billable or entry.project_id is None or world.settings.plan == "free":
        return None
    return world.projects[entry.project_id].hourly_rate_cents


def amount_cents(seconds: int, hourly_rate_cents: int) -> int:
    """Return the price of a duration in cents; half a cent is rounded up."""
    return (2 * seconds * hourly_rate_cents + 3600) // 7200
