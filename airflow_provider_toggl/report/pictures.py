"""The pictures beside the chart of a weekly report: utilization, budgets, margins and approvals."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_toggl.report.approvals import picture_approvals
from airflow_provider_toggl.report.budgets import picture_budgets
from airflow_provider_toggl.report.drawing import save_png
from airflow_provider_toggl.report.margins import picture_margins
from airflow_provider_toggl.report.people import read_people
from airflow_provider_toggl.report.picture import Picture
from airflow_provider_toggl.report.utilization import picture_utilization
from airflow_provider_toggl.report.weeks import WeeklyReport

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.warehouse import Warehouse


def build_pictures(
    warehouse: Warehouse,
    workspace_id: int,
    report: WeeklyReport,
    *,
    working_days: int = 5,
    now: datetime | None = None,
) -> list[Picture]:
    """Return the pictures of a report's weeks; one whose table has no rows has the reason instead of a drawing.

    :param working_days: days of a week that the working hours of a day are counted for.
    :param now: the time up to which timesheets have waited (aware); the present by default.
    """
    people = read_people(warehouse, workspace_id)
    return [
        picture_utilization(warehouse, workspace_id, report, people, working_days),
        picture_budgets(warehouse, workspace_id, report),
        picture_margins(warehouse, workspace_id, report),
        picture_approvals(warehouse, workspace_id, report, people, now or datetime.now(timezone.utc)),
    ]


def draw_pictures(pictures: Iterable[Picture], folder: Path, *, dpi: int = 144) -> list[Path]:
    """Draw each picture into a PNG file of its name; the file of one that is left out is removed.

    :return: the files that were drawn.
    :raises ConfigurationError: matplotlib is not installed.
    """
    drawn = []
    for picture in pictures:
        path = folder / f"{picture.name}.png"
        if picture.draw is None:
            path.unlink(missing_ok=True)
        else:
            save_png(picture.draw, path, dpi=dpi)
            drawn.append(path)
    return drawn
