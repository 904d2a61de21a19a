"""The time entries that reports may show to a user: limited by rights, by plan and by injected faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_toggl.sandbox.routing import ApiRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

EntryFilter = Callable[[TimeEntry], bool]


def visibility_key(request: ApiRequest) -> tuple[Any, ...]:
    """Return what visibility depends on, as a part of cache keys: another user may see less."""
    return (_visible_user(request), request.world.retention_horizon(), request.hidden_entries)


def visibility_filters(request: ApiRequest) -> list[EntryFilter]:
    """Return the filters that a time entry must pass to be visible."""
    filters: list[EntryFilter] = []
    user_id, horizon = _visible_user(request), request.world.retention_horizon()
    if user_id is not None:
        filters.append(lambda entry: entry.user_id == user_id)
    if horizon is not None:
        filters.append(lambda entry: entry.start >= horizon)
    filters.extend(_not_hidden(hidden.hides) for hidden in request.hidden_entries)
    return filters


def _visible_user(request: ApiRequest) -> int | None:
    """Return the only user whose time entries are visible; None if all are."""
    return None if request.actor.is_admin or request.settings.report_shows_members == "all" else request.actor.id


def _not_hidden(hides: Callable[[int], bool]) -> EntryFilter:
    return lambda entry: not hides(entry.id)
