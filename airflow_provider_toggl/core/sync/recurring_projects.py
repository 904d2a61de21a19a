"""Which recurring projects have periods that the warehouse lacks: what it knows before a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ClassVar

from airflow_provider_toggl.core.extract.histories import Histories
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.rated_objects import rows_of

_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class RecurringProject:
    """The periods of a project.

    :param id: the project.
    :param changed_at: when the project was last listed, if a period is missing (UTC); else long ago.
    """

    id: int
    workspace_id: int
    changed_at: datetime

    list_name: ClassVar[str] = "projects"
    optional: ClassVar[str] = ""
    params: ClassVar[dict[str, str]] = {}

    @property
    def label(self) -> str:
        """The project."""
        return f"periods of project {self.id}"

    @property
    def path(self) -> str:
        """The project, and what is asked for."""
        return f"{self.id}/periods"

    @property
    def key(self) -> int:
        """The project."""
        return self.id

    def complete(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a period with its project."""
        return {**row, "workspace_id": self.workspace_id, "project_id": self.id}


def find_recurring_projects(target: Warehouse, workspace_id: int) -> Histories:
    """Return the periods of the active recurring projects.

    They are to be read where none is stored, the last stored one is over, or the list of projects has another current
    one. A change of a project's name costs no request.
    """
    state = target.find_state("projects", str(workspace_id))
    if state is None or state.watermark is None:
        return Histories(missing=("projects",))
    stored: dict[int, set[tuple[str, str]]] = {}
    for row in rows_of(target, "project_periods", ["project_id", "start_date", "end_date"], workspace_id):
        stored.setdefault(row["project_id"], set()).add((_day(row["start_date"]), _day(row["end_date"])))
    found: list[RecurringProject] = []
    for row in rows_of(target, "projects", ["id", "active", "recurring", "current_period"], workspace_id):
        if not (row["active"] and row["recurring"]):
            continue
        periods, current = stored.get(row["id"], set()), _current_period(row["current_period"])
        is_over = max((end for _, end in periods), default="") < _day(state.watermark)
        is_due = is_over or (current is not None and current not in periods)
        found.append(RecurringProject(row["id"], workspace_id, state.watermark if is_due else _LONG_AGO))
    return Histories(found, {"projects": state.watermark})


def _current_period(stored: Any) -> tuple[str, str] | None:
    # Some engines have a text here, others the object.
    period = json.loads(stored) if isinstance(stored, str) else stored
    if not isinstance(period, dict) or not period.get("start_date") or not period.get("end_date"):
        return None
    return _day(period["start_date"]), _day(period["end_date"])


def _day(moment: object) -> str:
    return str(moment)[:10]
