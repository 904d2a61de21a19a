"""What REST writes do to the world: checked like Toggl's, with the same side effects."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.rest_v9.writes.clients import (
    archive_client,
    create_client,
    delete_client,
    restore_client,
    update_client,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.entries import (
    bulk_patch_entries,
    create_entry,
    delete_entry,
    stop_entry,
    update_entry,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.projects import (
    bulk_patch_projects,
    create_project,
    create_project_user,
    delete_project,
    update_project,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.tags import create_tag, delete_tag, find_or_create_tag, update_tag
from airflow_provider_toggl.sandbox.rest_v9.writes.tasks import create_task, delete_task, update_task

__all__ = [
    "archive_client",
    "bulk_patch_entries",
    "bulk_patch_projects",
    "create_client",
    "create_entry",
    "create_project",
    "create_project_user",
    "create_tag",
    "create_task",
    "delete_client",
    "delete_entry",
    "delete_project",
    "delete_tag",
    "delete_task",
    "find_or_create_tag",
    "restore_client",
    "stop_entry",
    "update_client",
    "update_entry",
    "update_project",
    "update_tag",
    "update_task",
]
