"""The streams that can be pulled: endpoint, how each reports changes, key, and what it needs of plan and token.

Scope and quota follow from the path: ``/organizations/…`` is of the organization, everything else of the workspace, and
all count against the organization's lane (``core.client.limits.quota.lane_of``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_toggl.core.errors import AccessDenied, ApiError, ConfigurationError, PlanLacksFeature

Listing = Literal["report", "paged", "since", "whole", "log", "histories"]
Form = Literal["list", "object", "texts", "envelopes", "records"]


@dataclass(frozen=True)
class Stream:
    """A kind of record of a workspace.

    :param name: name of the stream and of its table.
    :param path: path below the base URL; ``{workspace_id}`` and ``{organization_id}`` are filled in.
    :param listing: how it is read. ``report``: by windows, latest change first. ``since``: in pages, or only changes
        since a time, including deletions. ``paged``: always all pages. ``whole``: always one response with everything.
        ``log``: what happened since the last run, by spans of days that follow the path; rows are only added.
        ``histories``: one response for each object that changed; ``History.path`` follows the path.
    :param params: query parameters that are always sent; ``{workspace_id}`` is filled in.
    :param per_page: rows per page, 0 if the endpoint has no pages.
    :param entity: the name of its records in webhooks, None if webhooks do not report them. ``workspace_user`` is a
        user as a member of the workspace.
    :param needs: what the stream needs beyond access to the workspace, for people; empty for a stream that every plan
        and member has. Where Toggl refuses such a stream, it is skipped.
    :param form: what an answer is. ``list``: objects, perhaps below ``data`` of an envelope. ``object``: one object.
        ``texts``: texts, which fill the last column of ``key``. ``envelopes``: an envelope, perhaps in a list, as the
        definition has it. ``records``: objects without a definition, each also kept whole, as ``record``.
    :param key: the columns whose values make up a record; ``id`` is a hash of them. Empty for records with an ``id``.
    :param secrets: keys that are removed from each object as soon as it is read.
    :param money: columns that are null where the plan has no rates, or the token's owner may not see them.
    """

    name: str
    path: str
    listing: Listing
    params: tuple[tuple[str, str], ...] = ()
    per_page: int = 0
    entity: str | None = None
    needs: str = ""
    form: Form = "list"
    key: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    money: tuple[str, ...] = ()


_APPROVALS = "a plan with approvals (Premium) and a token whose owner may see them"


# Sources of paths and parameters: Toggl's v9 and Reports v3 documentation, engineering.toggl.com/docs.
STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        Stream(
            "time_entries",
            "/reports/api/v3/workspace/{workspace_id}/search/time_entries",
            "report",
            entity="time_entry",
        ),
        # Without active=both, archived projects are missing. 200 is the documented maximum.
        Stream(
            "projects", "/api/v9/workspaces/{workspace_id}/projects", "since", (("active", "both"),), 200, "project"
        ),
        Stream("clients", "/api/v9/workspaces/{workspace_id}/clients", "whole", (("status", "both"),), entity="client"),
        Stream("tags", "/api/v9/workspaces/{workspace_id}/tags", "paged", (), 200, "tag"),
        Stream("tasks", "/api/v9/workspaces/{workspace_id}/tasks", "since", (("active", "both"),), 200, "task"),
        Stream("users", "/api/v9/workspaces/{workspace_id}/users", "whole", entity="workspace_user"),
        Stream("project_users", "/api/v9/workspaces/{workspace_id}/project_users", "whole", entity="project_user"),
        Stream("groups", "/api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups", "whole"),
        # Its events fill users: they come one user at a time, and time entries refer to users. The list has the money.
        Stream(
            "workspace_users",
            "/api/v9/workspaces/{workspace_id}/workspace_users",
            "whole",
            # Without it, members who came through a group are missing.
            (("includeIndirect", "true"),),
            needs="a token whose owner may see the workspace's members",
            secrets=("invitation_code", "invite_url"),
            money=("rate", "labor_cost"),
        ),
        Stream(
            "timesheet_setups",
            "/api/v9/workspaces/{workspace_id}/timesheet_setups",
            "whole",
            needs=_APPROVALS,
            form="envelopes",
        ),
        # 1000 is the documented maximum. The list has no ids; a timesheet is one setup's period.
        Stream(
            "timesheets",
            "/api/v9/workspaces/{workspace_id}/timesheets",
            "paged",
            per_page=1000,
            needs=_APPROVALS,
            form="envelopes",
            key=("timesheet_setup_id", "start_date"),
        ),
        Stream(
            "organization_users",
            "/api/v9/organizations/{organization_id}/users",
            "paged",
            per_page=200,
            needs="the token of an administrator of the organization",
        ),
        Stream(
            "currencies",
            "/api/v9/workspaces/{workspace_id}/currencies",
            "whole",
            needs="a token whose owner may see the workspace's currencies",
            form="texts",
            key=("workspace_id", "iso_code"),
        ),
        Stream(
            "project_groups",
            "/api/v9/workspaces/{workspace_id}/project_groups",
            "whole",
            entity="project_group",
            needs="a token whose owner may see the groups of projects",
        ),
        Stream(
            "invoices",
            "/api/v9/workspaces/{workspace_id}/invoices",
            "paged",
            per_page=50,
            needs="a plan with invoices and a token whose owner may see them",
        ),
        Stream(
            "expenses",
            "/api/v9/workspaces/{workspace_id}/expenses",
            "whole",
            needs="a plan with expenses and a token whose owner may see them",
            secrets=("download_url",),
        ),
        # 100 is the documented maximum. Without team_goals, the list has only the goals of the token's owner.
        Stream(
            "goals",
            "/api/v9/workspaces/{workspace_id}/goals",
            "paged",
            (("team_goals", "true"),),
            100,
            needs="a plan with team goals and a token whose owner may see them",
        ),
        Stream(
            "alerts",
            "/api/v9/workspaces/{workspace_id}/alerts",
            "whole",
            needs="a plan with alerts and a token whose owner may see them",
        ),
        # The object has no id: the workspace has one.
        Stream(
            "time_entry_constraints",
            "/api/v9/workspaces/{workspace_id}/time_entry_constraints",
            "whole",
            needs="a token whose owner may see the workspace's constraints of time entries",
            form="object",
            key=("workspace_id",),
        ),
        Stream(
            "workspaces",
            "/api/v9/workspaces/{workspace_id}",
            "whole",
            form="object",
            # The deprecated token of the workspace, and the address of its calendar, which has it too.
            secrets=("api_token", "ical_url"),
            money=("default_hourly_rate",),
        ),
        Stream(
            "organizations",
            "/api/v9/organizations/{organization_id}",
            "whole",
            needs="a token whose owner is in the organization",
            form="object",
        ),
        # The definition says nothing about a record, not even whether it has an id.
        Stream(
            "audit_log",
            "/api/v9/audit_logs/{organization_id}",
            "log",
            (("workspace_id", "{workspace_id}"), ("export", "true")),
            needs="a plan with the audit log (Premium), and the token of an administrator of the organization",
            form="records",
            key=("record",),
        ),
        # The last three find the histories to read in the tables of other streams.
        # The definition has one object where the description has several: both are read.
        Stream(
            "project_periods",
            "/api/v9/workspaces/{workspace_id}/projects",
            "histories",
            needs="a plan with recurring projects (Premium)",
            form="object",
            key=("project_id", "start_date"),
        ),
        Stream(
            "timesheet_history",
            "/api/v9/workspaces/{workspace_id}/timesheets",
            "histories",
            needs=_APPROVALS,
            form="records",
            key=("timesheet_setup_id", "start_date", "record"),
        ),
        Stream(
            "rates",
            "/api/v9/workspaces/{workspace_id}/rates",
            "histories",
            needs="a plan with billable rates, and a token whose owner may see them",
            money=("amount",),
        ),
    )
}

STREAM_BY_ENTITY = {stream.entity: stream.name for stream in STREAMS.values() if stream.entity}
"""The stream that the events of an entity belong to."""


def get_stream(name: str) -> Stream:
    """Return the stream with that name.

    :raises ConfigurationError: there is none. The error lists the streams.
    """
    try:
        return STREAMS[name]
    except KeyError:
        raise ConfigurationError(f"There is no stream {name[:80]!r}. Streams: {', '.join(STREAMS)}.") from None


def why_skipped(stream: Stream, error: ApiError) -> str | None:
    """Return why a refused stream is left out of the load; None if the refusal is an error.

    Toggl answers 402 where the plan lacks a feature, and 403 where the token's owner may not see something. Time
    entries are part of every plan.
    """
    if isinstance(error, PlanLacksFeature) and stream.listing != "report":
        return f"{stream.name} is not part of the workspace's plan. {error}"
    if isinstance(error, AccessDenied) and stream.needs:
        return f"{stream.name} needs {stream.needs}. {error}"
    return None


def check_days(stream: str, since: object, until: object, *, incremental: bool) -> None:
    """Check that the days to read are valid for the stream and consistent.

    :raises ConfigurationError: they are not.
    """
    if get_stream(stream).listing != "report":
        if since is not None or until is not None:
            raise ConfigurationError(
                f"since and until are for time_entries; {stream} is read completely, or by its changes."
            )
        return
    if until is not None and incremental:
        raise ConfigurationError("until ends a fixed range of days: also set incremental=False.")
    if not incremental and since is None:
        raise ConfigurationError(
            "incremental=False reads a fixed range of days: give since (and until, by default today)."
        )
