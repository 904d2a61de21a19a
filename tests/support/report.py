"""A detailed report that a test can change between two pages, behind the transport's seam."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

from support.fakes import answer, quota_headers

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest


class FakeReport:
    """Entries by id; answers the report's query as Toggl does.

    :param now: Toggl's clock.
    """

    def __init__(self, now: float, page_size: int = 10) -> None:
        self.now = now
        self.page_size = page_size
        self.entries: dict[int, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.before_answer: list[Any] = []
        self.refusals: list[TogglResponse] = []
        self.quota: int | None = None
        self.keeps_order = True

    def add(self, number: int, *, day: date, at: float, seconds: int = 60) -> None:
        """Create or change an entry."""
        start = datetime(day.year, day.month, day.day, 9, tzinfo=timezone.utc)
        self.entries[number] = {
            "id": number,
            "seconds": seconds,
            "start": start.isoformat(),
            "stop": (start + timedelta(seconds=seconds)).isoformat(),
            "at": datetime.fromtimestamp(at, tz=timezone.utc).isoformat(timespec="seconds"),
        }

    def __call__(self, call: OutgoingRequest) -> TogglResponse:
        query = call.payload
        self.queries.append(query)
        if self.before_answer:
            self.before_answer.pop(0)()
        if self.refusals:
            return self.refusals.pop(0)
        inside = [e for e in self.entries.values() if query["start_date"] <= e["start"][:10] <= query["end_date"]]
        key = "at" if query["order_by"] == "last_update" else "start"
        inside.sort(key=lambda e: e["id"])
        if self.keeps_order:
            inside.sort(key=lambda e: e[key], reverse=query["order_dir"] == "DESC")
        first = query["first_row_number"]
        size = min(self.page_size, query.get("page_size", 50))
        page = inside[first - 1 : first - 1 + size]
        rows = [
            {"user_id": 1, "description": "", "tag_ids": [], "time_entries": [entry], "row_number": first + index}
            for index, entry in enumerate(page)
        ]
        headers = {"x-page-size": str(size)}
        if len(inside) > first - 1 + size:
            following = inside[first - 1 + size]
            headers |= {"x-next-row-number": str(first + size), "x-next-id": str(following["id"])}
        if self.quota is not None:
            self.quota -= 1
            headers |= quota_headers(self.quota, 100)
        return answer(200, rows, headers=headers, call=call, at=self.now)
