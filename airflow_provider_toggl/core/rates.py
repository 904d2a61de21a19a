"""The levels that Toggl keeps rates and costs of hours at, and which of them wins.

Sources: the definitions ``models.Rate`` and ``rates.creationRequest`` of https://engineering.toggl.com/docs name the
levels and kinds. That the workspace's rate is the default for all others is on
https://community.toggl.com/t/workspace-billable-rate/210, that a project member's cost wins over a workspace member's
on https://support.toggl.com/en/articles/12097459. That a task's rate wins over a project member's, that over the
project's, and that over a workspace member's, is taken from the narrowest to the widest; the API's pages do not say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["billable_rates", "labor_costs"]
"""The kinds of rates, by Toggl's names: what a client pays for an hour, and what an hour costs."""

Level = Literal["task", "project_user", "project", "workspace_user", "workspace"]
"""What a rate is set for."""

PRECEDENCE: dict[Kind, tuple[Level, ...]] = {
    "billable_rates": ("task", "project_user", "project", "workspace_user", "workspace"),
    "labor_costs": ("project_user", "workspace_user"),
}
"""The levels of each kind; the first one with a rate at an entry's start decides."""


@dataclass(frozen=True)
class Subject:
    """What a rate is set for; ids as in Toggl. Only those that its level needs are filled."""

    workspace_id: int
    user_id: int | None = None
    project_id: int | None = None
    task_id: int | None = None


FIELDS: dict[Level, tuple[str, ...]] = {
    "task": ("task_id",),
    "project_user": ("project_id", "user_id"),
    "project": ("project_id",),
    "workspace_user": ("user_id",),
    "workspace": (),
}
"""The ids, besides the workspace's, that an entry and a rate of the level must have in common."""
