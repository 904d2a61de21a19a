"""The table of streams: what can be pulled, where from, and how it tells what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_toggl.core.errors import ConfigurationError

Listing = Literal["report", "paged", "since", "whole"]


@dataclass(frozen=True)
class Stream:
    """One kind of record that a workspace has.

    :param name: name of the stream and of its table.
    :param path: path below the API's root; ``{workspace_id}`` and ``{organization_id}`` are filled in.
    :param listing: how it is read. ``report``: by windows, newest change first. ``since``: pages, and changes since a
        time with deletions told. ``paged``: always all pages. ``whole``: always one answer with everything.
    :param params: query parameters that are always sent.
    :param per_page: rows to ask for a page, 0 where the endpoint has no pages.
    """

    name: str
    path: str
    listing: Listing
    params: tuple[tuple[str, str], ...] = ()
    per_page: int = 0


# Paths and parameters: Toggl's v9 and Reports v3 documentation, engineering.toggl.com/docs.
STREAMS: dict[str, Stream] = {
    stream.name: stream
    for stream in (
        Stream("time_entries", "/reports/api/v3/workspace/{workspace_id}/search/time_entries", "report"),
        # Without active=both archived projects are left out; 200 is the documented maximum.
        Stream("projects", "/api/v9/workspaces/{workspace_id}/projects", "since", (("active", "both"),), 200),
        Stream("clients", "/api/v9/workspaces/{workspace_id}/clients", "whole", (("status", "both"),)),
        Stream("tags", "/api/v9/workspaces/{workspace_id}/tags", "paged", (), 200),
        Stream("tasks", "/api/v9/workspaces/{workspace_id}/tasks", "since", (("active", "both"),), 200),
        Stream("users", "/api/v9/workspaces/{workspace_id}/users", "whole"),
        Stream("project_users", "/api/v9/workspaces/{workspace_id}/project_users", "whole"),
        Stream("groups", "/api/v9/organizations/{organization_id}/workspaces/{workspace_id}/groups", "whole"),
    )
}


STREAM_OF_ENTITY = {
    "time_entry": "time_entries",
    "project": "projects",
    "client": "clients",
    "tag": "tags",
    "task": "tasks",
    "project_user": "project_users",
    "workspace_user": "users",
}
"""The stream that the events of an entity belong to."""


def get_stream(name: str) -> Stream:
    """Return the stream of that name.

    :raises ConfigurationError: there is none; the message lists those there are.
    """
    try:
        return STREAMS[name]
    except KeyError:
        raise ConfigurationError(f"There is no stream {name[:80]!r}. Streams: {', '.join(STREAMS)}.") from None


def check_days(stream: str, since: object, until: object, *, incremental: bool) -> None:
    """Check that the days to read go with the stream and with each other.

    :raises ConfigurationError: they do not.
    """
    if get_stream(stream).listing != "report":
        if since is not None or until is not None:
            raise ConfigurationError(
                f"since and until are for time_entries; {stream} is read by what changed, or whole."
            )
        return
    if until is not None and incremental:
        raise ConfigurationError("until ends a fixed range of days: set incremental=False with it.")
    if not incremental and since is None:
        raise ConfigurationError(
            "incremental=False reads a fixed range of days: give since (and until, else it is today)."
        )
