"""Which objects of a workspace have rates, and which rates are stored: what the warehouse knows before a run."""

# ruff: noqa: S608 - the only names put into these statements are constants of this package
from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.extract.histories import Histories
from airflow_provider_toggl.core.extract.rates import RatedObject
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.rates import FIELDS, Kind, Level, Subject


@dataclass(frozen=True)
class _Source:
    """A table that says when the rates of its rows changed last.

    :param ids: the column of each id that the level needs.
    """

    stream: str
    level: Level
    ids: Mapping[str, str]


_SOURCES = (
    _Source("projects", "project", {"project_id": "id"}),
    _Source("project_users", "project_user", {"project_id": "project_id", "user_id": "user_id"}),
    _Source("tasks", "task", {"task_id": "id"}),
    _Source("workspace_users", "workspace_user", {"user_id": "user_id"}),
    _Source("workspaces", "workspace", {}),
)
_CHANGED: dict[Kind, str] = {"billable_rates": "rate_last_updated", "labor_costs": "labor_cost_last_updated"}


def find_rated_objects(target: Warehouse, workspace_id: int) -> Histories:
    """Return the histories of a workspace's rates, from its projects, tasks and members in the warehouse."""
    read_up_to: dict[str, datetime] = {}
    objects: list[RatedObject] = []
    missing: list[str] = []
    currencies = _Currencies(target, workspace_id)
    for source in _SOURCES:
        state = target.find_state(source.stream, str(workspace_id))
        if state is None or state.watermark is None:
            missing.append(source.stream)
            continue
        read_up_to |= {f"{source.stream}/{kind}": state.watermark for kind in _CHANGED}
        objects += _find_objects(target, source, workspace_id, currencies)
    return Histories(objects, read_up_to, tuple(missing), _find_stored(target, workspace_id))


def _find_objects(target: Warehouse, source: _Source, workspace_id: int, currencies: _Currencies) -> list[RatedObject]:
    columns = {column.name for column in TABLES[source.stream].columns}
    changed = {kind: name for kind, name in _CHANGED.items() if name in columns}
    belongs = ["project_id"] if "project_id" in columns else []
    names = dict.fromkeys(["id", *source.ids.values(), *belongs, *changed.values()])
    found: list[RatedObject] = []
    for row in rows_of(target, source.stream, list(names), workspace_id):
        ids = {name: row[column] for name, column in source.ids.items()}
        if any(ids[name] is None for name in FIELDS[source.level]):
            # A group as member of a project: its users are members of their own.
            continue
        project = row["id"] if source.stream == "projects" else row.get("project_id")
        for kind, name in changed.items():
            if row[name] is not None:
                currency, subject = currencies.find(kind, project), Subject(workspace_id, **ids)
                found.append(RatedObject(kind, source.level, row["id"], subject, currency, row[name], source.stream))
    return found


class _Currencies:
    """The currencies of a workspace.

    What is billed for a project is in the project's currency, else in the workspace's
    (https://community.toggl.com/t/project-and-project-member-billable-rates/212). Labor costs are taken to be in the
    workspace's: no client sees them.
    """

    def __init__(self, target: Warehouse, workspace_id: int) -> None:
        projects = rows_of(target, "projects", ["id", "currency"], workspace_id)
        workspaces = rows_of(target, "workspaces", ["id", "default_currency"], workspace_id)
        self._of_projects = {row["id"]: row["currency"] for row in projects if row["currency"]}
        self._otherwise = next((row["default_currency"] for row in workspaces), None)

    def find(self, kind: Kind, project_id: int | None) -> str | None:
        """Return the currency of a rate; None where it is not known."""
        own = self._of_projects.get(project_id) if kind == "billable_rates" and project_id else None
        return own or self._otherwise


def _find_stored(target: Warehouse, workspace_id: int) -> dict[Hashable, frozenset[int]]:
    stored: dict[Hashable, set[int]] = {}
    for row in rows_of(target, "rates", ["id", "type", "level", "level_id"], workspace_id):
        stored.setdefault((row["type"], row["level"], row["level_id"]), set()).add(row["id"])
    return {key: frozenset(ids) for key, ids in stored.items()}


def rows_of(target: Warehouse, table: str, names: list[str], workspace_id: int) -> list[dict[str, Any]]:
    """Return columns of a table's live rows of a workspace."""
    listed = ", ".join(map(quote, names))
    found = target.query(
        f'select {listed} from {quote(table)} where "workspace_id" = ? and {is_live()}', [workspace_id]
    )
    return [dict(zip(names, row.values(), strict=True)) for row in found.to_pylist()]
