"""Reads a sandbox with unmodified third-party Toggl clients, and prints the result as JSON.

A test runs it in an environment with these clients: ``python third_party_clients.py NAME URL TOKEN WORKSPACE_ID``.
The clients get the sandbox's address by their own means: toggl-python by the ``base_url`` of its classes,
toggl-api-wrapper by the class variable ``BASE_ENDPOINT`` of endpoints derived from its own.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any


def read_with_toggl_python(url: str, token: str, workspace_id: int) -> dict[str, Any]:
    """Read with toggl-python (evrone)."""
    from toggl_python.auth import TokenAuth
    from toggl_python.entities.user import CurrentUser
    from toggl_python.entities.workspace import Workspace

    auth, base_url = TokenAuth(token), f"{url}/api/v9"
    user, workspaces = CurrentUser(auth, base_url=base_url), Workspace(auth, base_url=base_url)
    me = user.me()
    since = datetime.now(timezone.utc) - timedelta(days=80)
    current = user.get_current_time_entry()
    created = workspaces.create_time_entry(
        workspace_id,
        start_datetime=datetime.now(timezone.utc),
        created_with="somebody else's client",
        duration=600,
        description="made by toggl-python",
    )
    return {
        "logged": user.logged(),
        "me": me.id,
        "email": me.email,
        "workspaces": [workspace.id for workspace in workspaces.list()],
        "workspace": workspaces.get(workspace_id).name,
        "projects": [project.id for project in workspaces.get_projects(workspace_id)],
        "my_projects": [project.id for project in user.get_projects()],
        "paginated_projects": [project.id for project in user.get_paginated_projects(per_page=5)],
        "entries": {entry.id: entry.duration for entry in user.get_time_entries(since=since)},
        "entries_with_meta": len(user.get_time_entries(meta=True)),
        "current": None if current is None else current.id,
        "created": created.id,
        "created_read_back": user.get_time_entry(created.id).description,
    }


def read_with_toggl_api_wrapper(url: str, token: str, workspace_id: int) -> dict[str, Any]:
    """Read with toggl-api-wrapper (ddkasa)."""
    from httpx import BasicAuth
    from toggl_api import (
        ClientEndpoint,
        OrganizationEndpoint,
        ProjectEndpoint,
        TagEndpoint,
        UserEndpoint,
        WorkspaceEndpoint,
    )
    from toggl_api.meta.cache import JSONCache
    from toggl_api.reports import DetailedReportEndpoint, PaginationOptions, ReportBody

    base = f"{url}/api/v9/"
    auth = BasicAuth(token, "api_token")

    def endpoint(kind: Any, *scope: Any) -> Any:
        here = type(kind.__name__, (kind,), {"BASE_ENDPOINT": base})
        folder = Path(tempfile.mkdtemp())
        return here(*scope, auth, JSONCache(folder))

    workspaces = endpoint(WorkspaceEndpoint, 8000001)
    users = endpoint(UserEndpoint, workspace_id)
    since = datetime.now(timezone.utc) - timedelta(days=80)
    reports = type("Reports", (DetailedReportEndpoint,), {"BASE_ENDPOINT": f"{url}/reports/api/v3/"})(
        workspace_id, auth
    )
    today = datetime.now(timezone.utc).date()
    body = ReportBody(start_date=today - timedelta(days=20), end_date=today)
    rows: list[Any] = []
    options = PaginationOptions(page_size=50)
    while True:
        page = reports.search_time_entries(body, options)
        rows.extend(page.result)
        if not page.next_row:
            break
        options = page.next_options(50)
    return {
        "me": users.get_details()["id"],
        "workspaces": [workspace.id for workspace in workspaces.collect(refresh=True)],
        "workspace": workspaces.get(workspace_id, refresh=True).name,
        "organizations": [one.id for one in endpoint(OrganizationEndpoint).collect(refresh=True)],
        "projects": [project.id for project in endpoint(ProjectEndpoint, workspace_id).collect(refresh=True)],
        "clients": [client.id for client in endpoint(ClientEndpoint, workspace_id).collect(refresh=True)],
        "tags": [tag.id for tag in endpoint(TagEndpoint, workspace_id).collect(refresh=True)],
        "entries": {entry.id: entry.duration.total_seconds() for entry in users.collect(since, refresh=True)},
        "report": [one["id"] for row in rows for one in row["time_entries"]],
    }


READERS = {"toggl-python": read_with_toggl_python, "toggl-api-wrapper": read_with_toggl_api_wrapper}


def main() -> None:
    """Read with the client that was named."""
    name, url, token, workspace_id = sys.argv[1:]
    print(json.dumps(READERS[name](url, token, int(workspace_id)), default=str))


if __name__ == "__main__":
    main()
