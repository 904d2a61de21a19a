"""How Toggl writes its things down: keys, their order and formats as recorded, else by its definitions."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.formats import accounts_id, micros_z, seconds_offset, seconds_z, zone_of
from airflow_provider_toggl.sandbox.reports_v3.rows import (
    amount_cents,
    rate_of,
    report_row,
    report_seconds,
    round_seconds,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import (
    v9_client,
    v9_entry,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import (
    org_group,
    v9_group,
    v9_me,
    v9_organization,
    v9_simple_user,
    v9_workspace,
    v9_workspace_user,
)

__all__ = [
    "accounts_id",
    "amount_cents",
    "micros_z",
    "org_group",
    "rate_of",
    "report_row",
    "report_seconds",
    "round_seconds",
    "seconds_offset",
    "seconds_z",
    "v9_client",
    "v9_entry",
    "v9_group",
    "v9_me",
    "v9_organization",
    "v9_project",
    "v9_project_user",
    "v9_simple_user",
    "v9_tag",
    "v9_task",
    "v9_workspace",
    "v9_workspace_user",
    "zone_of",
]
