"""The Toggl Track connection of Airflow: who asks, where, and under which discipline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_toggl.core.arguments import (
    parse_choice,
    parse_conn_id,
    parse_day,
    parse_flag,
    parse_id,
    parse_json,
    parse_method,
    parse_query,
    parse_stream,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import USER_LANE, Estimate
from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport, check_base_url, refuse_toggl_2_token
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer, TogglError
from airflow_provider_toggl.core.streams import get_stream
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.connections import get_toggl_connection, get_toggl_fields, toggl_fields
from airflow_provider_toggl.hooks.settings import TogglFields, state_dir

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.extract.pages import Page
    from airflow_provider_toggl.core.sync.pull import PullRequest

Day = str | date | datetime
DataFrameType = Literal["pandas", "polars", "arrow"]

#: Somebody waits for the test of a connection: it tries twice, and not for minutes.
INTERACTIVE_RETRY = RetryPolicy(tries=2, longest=20.0)
#: What time entries are read of when nobody says from when.
DEFAULT_DAYS = timedelta(days=30)


class TogglHook(BaseHook):
    """Interact with Toggl Track: API v9 and Reports v3.

    Every request is paced and charged to the hourly quota together with those of all other processes of the host.

    :param toggl_conn_id: the connection. Password: API token. Host: base URL, empty for Toggl's own. Extra:
        ``workspace_id``, ``organization_id``, ``quota_reserve``, ``requests_per_second``, ``allow_plain_http``.
    :param retry: how often to try again what failed; tasks have minutes by default.
    """

    conn_name_attr = "toggl_conn_id"
    default_conn_name = "toggl_default"
    conn_type = "toggl"
    hook_name = "Toggl Track"

    def __init__(self, toggl_conn_id: str = default_conn_name, *, retry: RetryPolicy | None = None) -> None:
        super().__init__()
        self.toggl_conn_id = parse_conn_id("toggl_conn_id", toggl_conn_id)
        self._retry = retry
        self._session: TogglSession | None = None
        self._fields: TogglFields | None = None

    def get_conn(self) -> TogglSession:
        """Return the session of the connection.

        :raises ConfigurationError: the connection lacks the token, or a field of it cannot be what it is.
        """
        if self._session is None:
            telemetry.connect()
            self._session = self.open_session(self._retry)
        return self._session

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        payload: Any = None,
        idempotent: bool | None = None,
    ) -> TogglResponse:
        """Ask Toggl for anything that has no method here, under the same discipline.

        :param path: below the base URL, for example ``/api/v9/me``.
        :param payload: what to send as JSON.
        :param idempotent: whether it may be sent again when its effect is unknown; None: reads may, writes may not.
        :return: the good answer; ``.json()`` decodes it.
        :raises ConfigurationError: the path does not begin with a slash, so its begin would be part of the host name.
        :raises ApiError: anything else, typed.
        """
        if not str(path).startswith("/"):
            raise ConfigurationError(f"The path must begin with a slash, as /api/v9/me does; path is {path!r}.")
        return self.get_conn().request(
            required(parse_method)("method", method),
            path,
            params=parse_query("params", params),
            payload=parse_json("payload", payload),
            idempotent=parse_flag("idempotent", idempotent),
        )

    def get_workspace_id(self, workspace_id: int | str | None = None) -> int:
        """Return the workspace to work on: the given one, or the connection's.

        :raises ConfigurationError: there is none; the message lists those that the token can see (one request).
        """
        given: int | None = parse_id("workspace_id", workspace_id)
        session = self.get_conn()
        if given is not None:
            return given
        fields = self._fields
        if fields is not None and fields.workspace_id is not None:
            return fields.workspace_id
        rows = session.request("GET", "/api/v9/me/workspaces").json() or []
        seen = ", ".join(f"{row.get('id')} ({row.get('name')})" for row in rows[:20] if isinstance(row, dict))
        raise ConfigurationError(
            f"No workspace is given: set workspace_id in connection {self.toggl_conn_id!r}, or in the task. "
            f"The token can see: {seen or 'no workspace'}."
        )

    def pages(
        self,
        stream: str,
        *,
        workspace_id: int | str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        page_size: int = 1000,
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the pages of a stream as Toggl gives them, each asked for when it is wanted.

        :param stream: ``time_entries``, ``projects``, ``clients``, ``tags``, ``tasks``, ``users``, ``project_users``
            or ``groups``.
        :param since: first day of time entries, in the token owner's zone; 30 days ago by default.
        :param until: last day of time entries; tomorrow by default.
        :param page_size: entries to ask for in a page.
        """
        request = self._request(stream, workspace_id, since, until, page_size)
        return (_rows_of(page) for page in self._read(request))

    def time_entries(
        self, *, since: Day | None = None, until: Day | None = None, **more: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the detailed report: the entries of all users of the workspace."""
        return self.pages("time_entries", since=since, until=until, **more)

    def projects(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of projects, archived ones included."""
        return self.pages("projects", **more)

    def clients(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of clients, archived ones included."""
        return self.pages("clients", **more)

    def tags(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of tags."""
        return self.pages("tags", **more)

    def tasks(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of tasks, done ones included."""
        return self.pages("tasks", **more)

    def users(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the workspace's users."""
        return self.pages("users", **more)

    def project_users(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of project memberships."""
        return self.pages("project_users", **more)

    def groups(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of user groups."""
        return self.pages("groups", **more)

    def get_df(
        self,
        stream: str,
        *,
        workspace_id: int | str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        df_type: DataFrameType = "pandas",
    ) -> Any:
        """Return a stream as a data frame, with the names and types of the landed tables.

        A row that moved from one page to the next while they were read is in it once.

        :param df_type: ``pandas``, ``polars`` (must be installed) or ``arrow`` (a ``pyarrow.Table``).
        """
        import pyarrow as pa

        from airflow_provider_toggl.core.load.records import Observation, decode_page  # noqa: PLC0415 - heavy; only who wants a frame pays
        from airflow_provider_toggl.core.sync.pull import build_batches  # noqa: PLC0415 - only who reads pages pays

        request = self._request(stream, workspace_id, since, until, 1000)
        workspace = request.workspace_id
        nothing = decode_page(request.stream, b"[]", Observation(workspace, utc(SystemClock().now())))
        # Before anything is spent on what could not be given.
        to_data_frame(nothing.table, df_type)
        batches = build_batches(self._read(request), workspace)
        table = pa.concat_tables([nothing.table, *(batch.table for batch in batches)])
        return to_data_frame(_last_of_each(table), df_type)

    def estimate(self, stream: str, *, requests: int | None = None, rows: int | None = None) -> Estimate:
        """Return what a job will cost before it starts; asks nothing of Toggl.

        :param requests: how many requests it is; else it is worked out from ``rows`` at 1,000 a page, and is at least
            1.
        """
        required(parse_stream)("stream", stream)
        sent = parse_whole("requests", requests, minimum=0)
        pages = sent or max(1, -(-(parse_whole("rows", rows, minimum=0) or 0) // 1000))
        workspace = self.get_workspace_id()
        return self.get_conn().estimate(pages, f"/api/v9/workspaces/{workspace}")

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection works, and who it is, or exactly what is wrong with it."""
        try:
            return True, self._who_am_i()
        except (TogglError, ValueError) as error:
            return False, str(error)

    def _who_am_i(self) -> str:
        fields = get_toggl_fields(self.toggl_conn_id)
        fields.read_all()
        self._check_webhook_fields(fields)
        session = self.open_session(INTERACTIVE_RETRY)
        me = _object(session.request("GET", "/api/v9/me"))
        words = [f"{me.get('fullname')} ({me.get('timezone')})"]
        if fields.workspace_id is None:
            words.append(f"no workspace_id set; the default one is {me.get('default_workspace_id')}")
        else:
            workspace = _object(session.request("GET", f"/api/v9/workspaces/{fields.workspace_id}"))
            words.append(f"workspace {workspace.get('name')!r}, plan {_plan_of(session, workspace)}")
        lanes = session.read_quota()
        left = [f"{lane.remaining} of {lane.total} for {name}" for name, lane in sorted(lanes.items())]
        words.append("requests left this hour: " + (", ".join(left) or f"not told for {USER_LANE}"))
        return "; ".join(words) + "."

    def _check_webhook_fields(self, fields: TogglFields) -> None:
        """Return if the connection's callback and event store can be what they are; neither is opened.

        :raises ConfigurationError: one cannot.
        """
        if fields.webhook_callback_url:
            from airflow_provider_toggl.hooks.subscriptions import get_callback_url  # noqa: PLC0415 - it imports this

            get_callback_url(self.toggl_conn_id)
        if fields.event_store_conn_id:
            from airflow_provider_toggl.hooks.events import check_store_connection  # noqa: PLC0415 - few have one

            check_store_connection(fields.event_store_conn_id)

    def _request(
        self, stream: str, workspace_id: int | str | None, since: Day | None, until: Day | None, page_size: int
    ) -> PullRequest:
        from airflow_provider_toggl.core.sync.pull import PullRequest  # noqa: PLC0415 - only who reads pages pays

        now = utc(SystemClock().now())
        stream, first = required(parse_stream)("stream", stream), parse_day("since", since)
        report = get_stream(stream).listing == "report"
        return PullRequest(
            stream=stream,
            workspace_id=self.get_workspace_id(workspace_id),
            run_started=now,
            since=first or (now - DEFAULT_DAYS).date() if report else first,
            until=parse_day("until", until),
            incremental=False,
            page_size=required(partial(parse_whole, minimum=1, maximum=10_000))("page_size", page_size),
        )

    def _read(self, request: PullRequest) -> Iterator[Page]:
        from airflow_provider_toggl.core.sync.pull import read_pages  # noqa: PLC0415 - only who reads pages pays

        return read_pages(self.get_conn(), request)

    def open_session(self, retry: RetryPolicy | None = None) -> TogglSession:
        """Return a session of one's own.

        :param retry: how often and how long to try, for who cannot wait for minutes.
        :raises ConfigurationError: the connection lacks the token, or a field of it cannot be what it is.
        """
        connection = get_toggl_connection(self.toggl_conn_id)
        fields = self._fields = toggl_fields(connection)
        token = check_token(connection)
        base_url = check_base_url(
            connection.host,
            allow_plain_http=fields.allow_plain_http,
            port=connection.port,
            scheme=connection.schema,
        )
        session = TogglSession(
            RequestsTransport(base_url, token),
            RateLimitState(state_dir() / "quota.sqlite", hash_token(base_url, token)),
            pace=Pace(fields.requests_per_second),
            reserve=fields.quota_reserve,
            retry=retry,
            name=self.toggl_conn_id,
        )
        workspace, organization = fields.workspace_id, fields.organization_id
        if workspace is not None and organization is not None:
            session.learn_organization(workspace, organization)
        return session


def check_token(connection: Connection) -> str:
    """Return the API token of a Toggl connection.

    :raises ConfigurationError: there is none, or it cannot be one.
    """
    name, token = connection.conn_id, connection.password
    if token == "api_token":  # noqa: S105 - no secret: what Toggl's documents give as the password
        raise ConfigurationError(
            f"The password of connection {name!r} is the word api_token: put the API token itself there; the login "
            "stays empty."
        )
    if not token:
        also = " Its login is not used." if connection.login else ""
        raise ConfigurationError(
            f"Connection {name!r} has no API token: put it into the password (Toggl: Profile "
            f"settings, API token).{also}"
        )
    refuse_toggl_2_token(token)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"The password of connection {name!r} has a blank, a line end or another character that no API token has: "
            "copy the token again."
        )
    return token


def to_data_frame(table: pa.Table, df_type: DataFrameType) -> Any:
    """Return an Arrow table as the data frame that was asked for.

    :raises ConfigurationError: there is no such kind, or it is not installed.
    """
    kind = required(partial(parse_choice, options=("pandas", "polars", "arrow")))("df_type", df_type)
    if kind == "arrow":
        return table
    if kind == "pandas":
        return _as_pandas(table)
    try:
        import polars as pl
    except ImportError:
        raise ConfigurationError(
            "df_type is polars, which is not installed: pip install 'airflow-provider-toggl[polars]'."
        ) from None
    return pl.from_arrow(table)


def _as_pandas(table: pa.Table) -> Any:
    """Return a pandas frame whose whole numbers stay whole where some are missing: as floats, long ids would change."""
    import pandas as pd
    import pyarrow as pa

    kept = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    return table.to_pandas(types_mapper=kept.get)


def _last_of_each(table: pa.Table) -> pa.Table:
    """Return the rows of which no later one has the same id."""
    import pyarrow as pa
    import pyarrow.compute as pc

    placed = table.select(["id"]).append_column("place", pa.array(range(table.num_rows), pa.int64()))
    places = placed.group_by("id").aggregate([("place", "max")])["place_max"]
    return table if len(places) == table.num_rows else table.take(pc.take(places, pc.sort_indices(places)))


def _object(answer: TogglResponse) -> dict[str, Any]:
    """Return an answer that must be a JSON object.

    :raises MalformedAnswer: it is something else: whoever answers is not Toggl.
    """
    decoded = answer.json()
    if not isinstance(decoded, dict):
        raise MalformedAnswer(
            f"{answer.method} {answer.path} was answered with something else than Toggl answers: check the base URL in "
            "the connection's host.",
            status=answer.status,
        )
    return decoded


def _plan_of(session: TogglSession, workspace: dict[str, Any]) -> str:
    """Return the plan of a workspace; where its own flags leave two, one more request tells which."""
    if not workspace.get("business_ws"):
        return "Starter" if workspace.get("premium") else "Free"
    organizations = session.request("GET", "/api/v9/me/organizations").json()
    for row in organizations if isinstance(organizations, list) else []:
        if isinstance(row, dict) and row.get("id") == workspace.get("organization_id"):
            return str(row.get("pricing_plan_name") or "Premium")
    return "Premium or Enterprise"


def _rows_of(page: Page) -> list[dict[str, Any]]:
    decoded = json.loads(page.body) if page.body else []
    rows = decoded.get("data") if isinstance(decoded, dict) else decoded
    return rows or []
