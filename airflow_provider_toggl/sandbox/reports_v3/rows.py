"""The rows of the sandbox's detailed reports, and the rounding of durations."""

from __future__ import annotations

from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.formats import seconds_offset
from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import World, amount_cents

#: The legacy number of a colour; recorded as "0" for every colour.
COLOR_NUMBER = "0"


def round_seconds(seconds: int, rounding: int, minutes: int, *, zero: str = "nearest") -> int:
    """Round a duration as reports do.

    :param seconds: the duration; 0 and less stay as they are.
    :param rounding: -1 down, 0 nearest (or none, by ``zero``), 1 up.
    :param minutes: round to multiples of these; 0 means no rounding.
    :param zero: the meaning of rounding 0: "nearest" or "none".
    """
    if minutes <= 0 or seconds <= 0 or (rounding == 0 and zero == "none"):
        return seconds
    step = minutes * 60
    if rounding < 0:
        return seconds // step * step
    if rounding > 0:
        return -(-seconds // step) * step
    return (2 * seconds + step) // (2 * step) * step


def report_seconds(world: World, entry: TimeEntry, rounding: int, rounding_minutes: int) -> int:
    """Return the ``seconds`` of a time entry in reports, rounded."""
    if entry.is_running:
        if world.settings.report_running_seconds == "negative":
            return entry.duration
        return max(0, int((world.now() - entry.start).total_seconds()))
    if rounding_minutes == 0:
        return entry.duration
    return round_seconds(entry.duration, rounding, rounding_minutes, zero=world.settings.report_rounding_zero)


def report_row(
    world: World,
    entry: TimeEntry,
    viewer_zone: ZoneInfo,
    *,
    row_number: int,
    rounding: int = 0,
    rounding_minutes: int = 0,
    hide_amounts: bool = False,
    enrich: bool = False,
) -> dict[str, Any]:
    """Return the row of one time entry in a detailed report without grouping.

    :param viewer_zone: the user's time zone, for ``start`` and ``stop`` (unless ``report_times`` is "utc").
    :param rounding: -1, 0 or 1, to ``rounding_minutes`` (0: none); only ``seconds`` are rounded, not times.
    :param hide_amounts: set amounts to null.
    :param enrich: add names.
    """
    seconds = report_seconds(world, entry, rounding, rounding_minutes)
    rate = None if hide_amounts else world.rate_of(entry)
    settings = world.settings
    user = world.users[entry.user_id]
    zone = viewer_zone if settings.report_times == "user" else timezone.utc
    stop = entry.stop
    row: dict[str, Any] = {
        "user_id": entry.user_id,
        "username": user.fullname,
        "project_id": entry.project_id,
        "task_id": entry.task_id,
        "billable": entry.billable,
        "description": entry.description if entry.description or not settings.report_no_description_is_empty else "",
        "tag_ids": entry.tag_ids,
        "billable_amount_in_cents": None if rate is None or entry.is_running else amount_cents(seconds, rate),
        "hourly_rate_in_cents": rate,
        "currency": world.workspace.default_currency,
        "time_entries": [
            {
                "id": entry.id,
                "seconds": seconds,
                "start": entry.start.astimezone(zone).isoformat(),
                "stop": None if stop is None else stop.astimezone(zone).isoformat(),
                "at": seconds_offset(entry.at),
            }
        ],
        "row_number": row_number,
    }
    if enrich:
        row.update(_names(world, entry))
        row["email"] = user.email
    return row


def _names(world: World, entry: TimeEntry) -> dict[str, Any]:
    project: Project | None = None if entry.project_id is None else world.projects[entry.project_id]
    client_id = None if project is None else project.client_id
    return {
        "project_name": None if project is None else project.name,
        "project_color": None if project is None else COLOR_NUMBER,
        "project_hex": None if project is None else project.color,
        "client_name": None if client_id is None else world.clients[client_id].name,
        "task_name": None if entry.task_id is None else world.tasks[entry.task_id].name,
        "tag_names": [world.tags[tag_id].name for tag_id in entry.tag_ids],
    }
