"""Columns compared with Toggl's published definitions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.repository import ROOT

from airflow_provider_toggl.core.load.decode.shapes import OBJECTS, Field
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAMS

FOLDER = Path(os.environ.get("TOGGL_CONTRACTS") or ROOT.parent / "shared" / "toggl-swagger")
INTERNAL = "github_com_toggl_toggl_api_internal_models"
DEFINITIONS = {
    "projects": f"{INTERNAL}.Project",
    "clients": "models.Client",
    "tags": "models.Tag",
    "tasks": "models.Task",
    "project_users": "models.ProjectUser",
    "rates": "models.Rate",
    "groups": "group.OrganizationGroupResponse",
    "workspace_users": f"{INTERNAL}.WorkspaceUser",
    "timesheet_setups": "timesheetsetups.APITimesheetSetup",
    "timesheets": "timesheets.APITimesheet",
    "organization_users": "models.OrgUser",
    "project_groups": "models.ProjectGroup",
    "invoices": "models.UserInvoice",
    "expenses": "expenses.Expense",
    "goals": "handlergoals.APIResponse",
    "alerts": "models.AlertWithMeta",
    "project_periods": "models.RecurringPeriod",
    "time_entry_constraints": "models.TimeEntryConstraints",
    "workspaces": f"{INTERNAL}.Workspace",
    "organizations": "models.MeOrganization",
}
# What a column's type is called there. A field that only refers to another definition has no type of its own.
TYPES = {
    "bigint": {"integer", ""},
    "double": {"number"},
    "boolean": {"boolean"},
    "text": {"string", ""},
    "timestamp": {"string"},
    "date": {"string"},
    "bigint_list": {"array"},
    "members": {"array"},
    "groups": {"array"},
    "json": {"array", "object", ""},
}
# Filled from the request, or by whatever the definition does not name.
NOT_DEFINED = {
    "groups": {"id", "workspace_id"},
    "project_users": {"deleted_at"},
    "rates": {"level", "level_id", "user_id", "task_id", "currency", "at"},
    "organizations": {"workspace_id"},
    "organization_users": {"workspace_id", "at"},
    "timesheet_setups": {"at"},
    "timesheets": {"at"},
    "project_groups": {"at"},
    "goals": {"at"},
    "alerts": {"at"},
    "project_periods": {"workspace_id", "project_id", "at"},
    "time_entry_constraints": {"workspace_id", "at"},
}

needs_definitions = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no swagger files of Toggl at {FOLDER}")


def defined(stream: str) -> dict[str, Any]:
    loaded = json.loads((FOLDER / "toggl-track-api-v9.json").read_text())
    properties: dict[str, Any] = loaded["definitions"][DEFINITIONS[stream]]["properties"]
    return properties


def fits(field: Field, properties: dict[str, Any]) -> bool:
    return any(key in properties and properties[key].get("type", "") in TYPES[field.type] for key in field.keys)


@needs_definitions
@pytest.mark.parametrize("stream", DEFINITIONS)
def test_every_column_is_a_field_of_toggl_s_definition_with_a_type_that_fits(stream: str) -> None:
    properties = defined(stream)
    wrong = {field.column for field in OBJECTS[stream].fields if not fits(field, properties)}
    # Deletions are reported by keys that few definitions have.
    assert wrong - {"deleted_at"} - NOT_DEFINED.get(stream, set()) == set()


@needs_definitions
def test_no_field_that_is_removed_as_a_secret_is_a_column() -> None:
    for name, stream in STREAMS.items():
        assert set(stream.secrets) <= (defined(name).keys() if stream.secrets else set())
        assert not set(stream.secrets) & {column.name for column in TABLES[name].columns}


def test_every_stream_with_a_definition_of_its_own_is_compared() -> None:
    # Reports and short users have other definitions; a currency is a text; the last two have none.
    without = {"time_entries", "users", "currencies", "audit_log", "timesheet_history"}
    assert TABLES.keys() - DEFINITIONS.keys() == without
