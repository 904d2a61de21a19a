"""Which timesheets changed since their histories were read: what the warehouse knows before a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from airflow_provider_toggl.core.extract.histories import Histories
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.rated_objects import rows_of

#: Each week of each person has a history: those of all years would be thousands of requests.
FIRST_REACHES = timedelta(days=31)
_TIMES = ("submitted_at", "approved_or_rejected_at", "updated_at")


@dataclass(frozen=True)
class ChangedTimesheet:
    """The history of a timesheet.

    :param setup_id: its setup.
    :param start_date: its first day, ``2026-03-02``.
    :param status: its present status.
    :param changed_at: when it changed last, as far as Toggl says (UTC).
    """

    setup_id: int
    start_date: str
    workspace_id: int
    member_id: int | None
    status: str | None
    changed_at: datetime

    list_name: ClassVar[str] = "timesheets"
    optional: ClassVar[str] = ""
    params: ClassVar[dict[str, str]] = {}

    @property
    def label(self) -> str:
        """The setup and the first day."""
        return f"history of timesheet {self.setup_id} of {self.start_date}"

    @property
    def path(self) -> str:
        """The setup, the first day, and what is asked for."""
        return f"{self.setup_id}/{self.start_date}/history"

    @property
    def key(self) -> tuple[int, str]:
        """What makes up a timesheet."""
        return (self.setup_id, self.start_date)

    def complete(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record of the history with its timesheet, whose status says up to where the history is known."""
        return {
            **row,
            "workspace_id": self.workspace_id,
            "timesheet_setup_id": self.setup_id,
            "start_date": self.start_date,
            "member_id": self.member_id,
            "timesheet_status": self.status,
        }


def find_changed_timesheets(target: Warehouse, workspace_id: int) -> Histories:
    """Return the histories of the timesheets that were ever handed in.

    A timesheet that is reopened may lose its times. So one that has another status than when its history was read last
    counts as just changed.
    """
    state = target.find_state("timesheets", str(workspace_id))
    if state is None or state.watermark is None:
        return Histories(missing=("timesheets",))
    key = ("timesheet_setup_id", "start_date")
    # Records that Toggl's answer has no longer stay with an earlier status: the latest reading counts.
    rows = rows_of(target, "timesheet_history", [*key, "timesheet_status", "seen_at"], workspace_id)
    read = {
        (row[key[0]], str(row[key[1]])[:10]): row["timesheet_status"]
        for row in sorted(rows, key=lambda row: row["seen_at"])
    }
    found: list[ChangedTimesheet] = []
    for row in rows_of(target, "timesheets", [*key, "member_id", "status", *_TIMES], workspace_id):
        setup_id, start_date = row[key[0]], str(row[key[1]])[:10]
        times = [row[name] for name in _TIMES if row[name] is not None]
        if read.get((setup_id, start_date), row["status"]) != row["status"]:
            times.append(state.watermark)
        if times:
            found.append(
                ChangedTimesheet(setup_id, start_date, workspace_id, row["member_id"], row["status"], max(times))
            )
    return Histories(found, {"timesheets": state.watermark}, first_reaches=FIRST_REACHES)
