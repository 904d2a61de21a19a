"""Which time entries reports can show to who asks, whatever is asked: by rights, by plan and by ordered faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_toggl.sandbox.routing import ApiRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

EntryFilter = Callable[[TimeEntry], bool]


def visibility_key(call: ApiRequest) -> tuple[Any, ...]:
    """Return what decides what is shown, so that nobody gets what was kept for somebody who sees more."""
    return (_only_of(call), call.world.retention_horizon(), call.hidings)


def visibility_filters(call: ApiRequest) -> list[EntryFilter]:
    """Return the tests that an entry must pass to be shown."""
    tests: list[EntryFilter] = []
    user_id, horizon = _only_of(call), call.world.retention_horizon()
    if user_id is not None:
        tests.append(lambda entry: entry.user_id == user_id)
    if horizon is not None:
        tests.append(lambda entry: entry.start >= horizon)
    tests.extend(_kept_by(hiding.hides) for hiding in call.hidings)
    return tests


def _only_of(call: ApiRequest) -> int | None:
    """Return whose entries alone are shown; None: everybody's."""
    return None if call.actor.is_admin or call.settings.report_shows_members == "all" else call.actor.id


def _kept_by(hides: Callable[[int], bool]) -> EntryFilter:
    return lambda entry: not hides(entry.id)
