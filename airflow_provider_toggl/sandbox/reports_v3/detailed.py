"""The detailed report with its order and pages, and the table of all report endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from airflow_provider_toggl.sandbox.reports_v3 import lists, summaries
from airflow_provider_toggl.sandbox.reports_v3.query import (
    ReportQuery,
    cache,
    cache_key,
    find_entries,
    read_choice,
    read_query,
)
from airflow_provider_toggl.sandbox.reports_v3.rows import report_row
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/reports/api/v3/workspace/{workspace_id}"
SEARCH_ENDPOINT = f"POST {BASE}/search/time_entries"
ORDERS = ("date", "user", "duration", "description", "last_update")
DEFAULT_PAGE_SIZE = 50

#: A row of a report: one time entry, or a group of them.
Row = TimeEntry | list[TimeEntry]


def search_time_entries(request: ApiRequest) -> ApiResponse:
    """Return a page of the detailed report."""
    query = read_query(request)
    size = _page_size(request, query)
    order = read_choice(query.body, "order_by", ORDERS, "date")
    direction = str(query.body.get("order_dir") or "ASC").upper()
    read_choice({"order_dir": direction}, "order_dir", ("ASC", "DESC"), "ASC")
    first = max(1, query.body.get("first_row_number") or 1)
    rows = _rows(request, query, order, direction == "DESC")
    headers = {"x-page-size": str(size), **query.range_headers}
    if _is_lost_page(request, query):
        return ApiResponse([], headers=headers)
    end = first - 1 + max(1, size - request.drop_rows if request.drop_rows < size else 1)
    page = rows[first - 1 : end]
    if end < len(rows):
        following = _entries_of(rows[end])[0]
        headers["x-next-id"] = str(following.id)
        headers["x-next-row-number"] = str(end + 1)
        headers["x-next-timestamp"] = str(int(following.start.timestamp()))
    written = [_row(request, query, _entries_of(row), first + index) for index, row in enumerate(page)]
    return ApiResponse(written, headers=headers)


def _page_size(request: ApiRequest, query: ReportQuery) -> int:
    size: int = query.body.get("page_size") or DEFAULT_PAGE_SIZE
    largest = request.settings.largest_page_size
    if size < 1:
        raise ErrorResponse(400, "Invalid 'page_size' value")
    if size > largest and request.settings.page_size_over_largest == "refuse":
        raise ErrorResponse(400, f"Invalid 'page_size' value, allowed values are: '1 to {largest}'")
    return min(size, largest)


def _is_lost_page(request: ApiRequest, query: ReportQuery) -> bool:
    """Return whether Toggl returns an empty page for no visible reason: first_id without first_timestamp."""
    body = query.body
    lost = body.get("first_id") is not None and body.get("first_timestamp") is None
    return lost and request.settings.first_id_needs_timestamp


def _entries_of(row: Row) -> list[TimeEntry]:
    return row if isinstance(row, list) else [row]


def _rows(request: ApiRequest, query: ReportQuery, order: str, descending: bool) -> Sequence[Row]:
    """Return the ordered rows of the whole report; cached for the next page until the world changes."""
    grouped = bool(query.body.get("grouped"))
    key = cache_key(request, query, "rows", order, descending, grouped)
    if not request.lag_seconds and key in request.caches:
        cached: Sequence[Row] = request.caches[key]
        return cached
    names = {user.id: user.fullname for user in request.world.users.values()}
    keys: dict[str, Callable[[TimeEntry], Any]] = {
        "date": attrgetter("start", "id"),
        "user": lambda entry: (names[entry.user_id], entry.start, entry.id),
        "duration": attrgetter("duration", "id"),
        "description": lambda entry: (entry.description or "", entry.start, entry.id),
        "last_update": attrgetter("at", "id"),
    }
    ordered = sorted(find_entries(request, query), key=keys[order], reverse=descending)
    rows: Sequence[Row] = _group(ordered) if grouped else ordered
    if not request.lag_seconds:
        cache(request, key, rows)
    return rows


def _group(entries: list[TimeEntry]) -> list[list[TimeEntry]]:
    """Group time entries with equal details, in the order of the first of each group."""
    rows: dict[tuple[Any, ...], list[TimeEntry]] = {}
    for entry in entries:
        tags = tuple(sorted(entry.tag_ids))
        key = (entry.user_id, entry.project_id, entry.task_id, entry.description or "", entry.billable, tags)
        rows.setdefault(key, []).append(entry)
    return list(rows.values())


def _row(request: ApiRequest, query: ReportQuery, entries: list[TimeEntry], number: int) -> dict[str, Any]:
    body = query.body
    written = [
        report_row(
            request.world,
            entry,
            query.zone,
            row_number=number,
            rounding=query.rounding,
            rounding_minutes=query.rounding_minutes,
            hide_amounts=bool(body.get("hide_amounts")),
            enrich=bool(body.get("enrich_response")),
        )
        for entry in entries
    ]
    row = written[0]
    if len(written) > 1:
        row["time_entries"] = [one for part in written for one in part["time_entries"]]
        amounts = [part["billable_amount_in_cents"] for part in written]
        row["billable_amount_in_cents"] = None if None in amounts else sum(amounts)
    return row


ROUTES = [
    Route("POST", f"{BASE}/search/time_entries", search_time_entries, "organization"),
    Route("POST", f"{BASE}/search/time_entries/totals", summaries.total, "organization"),
    Route("POST", f"{BASE}/summary/time_entries", summaries.summarize, "organization"),
    Route("POST", f"{BASE}/projects/summary", summaries.summarize_projects, "organization"),
    Route("POST", f"{BASE}/projects/{{project_id}}/summary", summaries.summarize_project, "organization"),
    *(
        Route("POST", f"{BASE}/filters/{name}", lists.list_endpoint(rows), "organization")
        for name, rows in lists.FILTERS.items()
    ),
    *(
        Route("POST", f"{BASE}/search/{name}", lists.list_endpoint(rows, needs_one=True), "organization")
        for name, rows in lists.SEARCHES.items()
    ),
    Route("POST", f"{BASE}/filters/project_users", lists.filter_project_users, "organization"),
    Route("POST", f"{BASE}/filters/project_groups", lists.filter_project_groups, "organization"),
    Route("POST", f"{BASE}/filters/projects/status", lists.filter_project_status, "organization"),
    Route("POST", f"{BASE}/filters/tasks/status", lists.filter_task_status, "organization"),
]
