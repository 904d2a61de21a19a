"""The hook for Toggl Track: builds a session from an Airflow connection, and reads streams as pages or data frames."""

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
from airflow_provider_toggl.core.client.addresses import check_base_url
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import USER_LANE, Estimate, find_plan
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer, TogglError
from airflow_provider_toggl.core.streams import get_stream
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.connections import (
    DEFAULT_TOGGL_CONN_ID,
    get_callback_url,
    get_toggl_connection,
    get_toggl_fields,
)
from airflow_provider_toggl.hooks.limits import open_rate_limit_state
from airflow_provider_toggl.hooks.lineage import report_stream_read
from airflow_provider_toggl.hooks.settings import TogglFields

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.providers.common.compat.sdk import Connection

    from airflow_provider_toggl.core.extract.pages import Page
    from airflow_provider_toggl.core.sync.pull import PullRequest

Day = str | date | datetime
DataFrameType = Literal["pandas", "polars", "arrow"]

#: For commands and connection tests, where a person waits: two tries, and no wait of minutes.
INTERACTIVE_RETRY = RetryPolicy(tries=2, longest=20.0)
#: How far back time entries are read by default.
DEFAULT_DAYS = timedelta(days=30)
#: API tokens of Toggl 2.0 (Focus) begin with this. Those of Toggl Track are 32 hexadecimal digits.
TOGGL_2_PREFIX = "toggl_sk_"


class TogglHook(BaseHook):
    """Interact with Toggl Track: API v9 and Reports v3.

    All processes that use the token share one request rate and one hourly quota: those of the host, or those of all
    hosts if ``event_store_conn_id`` names a PostgreSQL connection.

    :param toggl_conn_id: the connection. Password: API token. Host: base URL, empty for Toggl's own. Extra:
        ``workspace_id``, ``organization_id``, ``quota_reserve``, ``requests_per_second``, ``pace_scope``,
        ``event_store_conn_id``, ``allow_plain_http``.
    :param retry: how often to try again after a failure; by default for up to three minutes.
    """

    conn_name_attr = "toggl_conn_id"
    default_conn_name = DEFAULT_TOGGL_CONN_ID
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

        :raises ConfigurationError: the connection has no token, or a field has an invalid value.
        """
        if self._session is not None:
            return self._session
        telemetry.connect()
        connection = get_toggl_connection(self.toggl_conn_id)
        fields = self._fields = TogglFields(connection.conn_id, connection.extra_dejson)
        token = check_token(connection)
        base_url = check_base_url(
            connection.host, allow_plain_http=fields.allow_plain_http, port=connection.port, scheme=connection.schema
        )
        session = TogglSession(
            RequestsTransport(base_url, token),
            open_rate_limit_state(fields, base_url, token),
            pace=Pace(fields.requests_per_second),
            reserve=fields.quota_reserve,
            retry=self._retry,
            name=self.toggl_conn_id,
        )
        workspace, organization = fields.workspace_id, fields.organization_id
        if workspace is not None and organization is not None:
            session.learn_organization(workspace, organization)
        self._session = session
        return session

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        payload: Any = None,
        idempotent: bool | None = None,
    ) -> TogglResponse:
        """Send any request to Toggl, within the same rate and quota.

        :param path: below the base URL, for example ``/api/v9/me``.
        :param payload: the body, sent as JSON.
        :param idempotent: whether it may be sent again when its outcome is unknown; None: reads may, writes may not.
        :return: the 2xx response; ``.json()`` decodes it.
        :raises ConfigurationError: the path does not start with a slash, so that it would change the host name.
        :raises ApiError: any other failure, by its type.
        """
        if not str(path).startswith("/"):
            raise ConfigurationError(f"path is {path!r}; it must start with a slash, such as /api/v9/me.")
        return self.get_conn().request(
            required(parse_method)("method", method),
            path,
            params=parse_query("params", params),
            payload=parse_json("payload", payload),
            idempotent=parse_flag("idempotent", idempotent),
        )

    def get_workspace_id(self, workspace_id: int | str | None = None) -> int:
        """Return the ID of the workspace to use: the argument, or the connection's.

        :raises ConfigurationError: there is none. The error lists those that the token can see, for one request.
        """
        number: int | None = parse_id("workspace_id", workspace_id)
        session = self.get_conn()
        if number is not None:
            return number
        fields = self._fields
        if fields is not None and fields.workspace_id is not None:
            return fields.workspace_id
        rows = session.request("GET", "/api/v9/me/workspaces").json() or []
        seen = ", ".join(f"{row.get('id')} ({row.get('name')})" for row in rows[:20] if isinstance(row, dict))
        raise ConfigurationError(
            f"There is no workspace_id: set it in connection {self.toggl_conn_id!r}, or in the task. "
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
        """Yield the pages of a stream as Toggl returns them. Each page is requested when it is needed.

        :param stream: one of ``core.streams.STREAMS``.
        :param since: first day of time entries, in the token owner's zone; 30 days ago by default.
        :param until: last day of time entries; tomorrow by default.
        :param page_size: time entries per page.
        """
        request = self._request(stream, workspace_id, since, until, page_size)
        return (_rows_of(page) for page in self._read(request))

    def time_entries(
        self, *, since: Day | None = None, until: Day | None = None, **more: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the detailed report: the time entries of all users of the workspace."""
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

    def workspace_users(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the workspace's members, with roles, rates, labor costs and working hours."""
        return self.pages("workspace_users", **more)

    def timesheet_setups(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the rules by which members hand in timesheets."""
        return self.pages("timesheet_setups", **more)

    def timesheets(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of timesheets with their approval."""
        return self.pages("timesheets", **more)

    def organization_users(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the users of the workspace's organization."""
        return self.pages("organization_users", **more)

    def currencies(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the codes of the workspace's currencies, each as ``{"iso_code": …}``."""
        return self.pages("currencies", **more)

    def project_groups(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of which groups have access to which projects."""
        return self.pages("project_groups", **more)

    def invoices(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of invoices with their items."""
        return self.pages("invoices", **more)

    def expenses(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of expenses."""
        return self.pages("expenses", **more)

    def goals(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the team's goals."""
        return self.pages("goals", **more)

    def alerts(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of the alerts of projects."""
        return self.pages("alerts", **more)

    def time_entry_constraints(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield a page with what a time entry must have in the workspace."""
        return self.pages("time_entry_constraints", **more)

    def workspaces(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield a page with the workspace and its settings."""
        return self.pages("workspaces", **more)

    def organizations(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield a page with the workspace's organization."""
        return self.pages("organizations", **more)

    def audit_log(self, **more: Any) -> Iterator[list[dict[str, Any]]]:
        """Yield pages of what was done in the last year, each record also whole, as ``record``."""
        return self.pages("audit_log", **more)

    def get_df(
        self,
        stream: str,
        *,
        workspace_id: int | str | None = None,
        since: Day | None = None,
        until: Day | None = None,
        df_type: DataFrameType = "pandas",
    ) -> Any:
        """Return a stream as a data frame, with the names and types of the tables in a warehouse.

        A row that moved from one page to the next while they were read is in it once.

        :param df_type: ``pandas``, ``polars`` (must be installed) or ``arrow`` (a ``pyarrow.Table``).
        """
        import pyarrow as pa

        from airflow_provider_toggl.core.load.decode.records import Observation, decode_page  # noqa: PLC0415 - heavy; only data frames need it
        from airflow_provider_toggl.core.sync.pull import build_batches  # noqa: PLC0415 - only reading pages needs it

        request = self._request(stream, workspace_id, since, until, 1000)
        workspace = request.workspace_id
        nothing = decode_page(request.stream, b"[]", Observation(workspace, utc(SystemClock().now())))
        # An unknown df_type fails before a request is sent.
        to_data_frame(nothing.table, df_type)
        batches = build_batches(self._read(request), workspace)
        table = pa.concat_tables([nothing.table, *(batch.table for batch in batches)])
        return to_data_frame(_last_of_each(table), df_type)

    def estimate(self, stream: str, *, requests: int | None = None, rows: int | None = None) -> Estimate:
        """Return what a job will cost before it starts. Sends no request.

        :param requests: how many requests it needs; by default at least 1, computed from ``rows`` at 1,000 per page.
        """
        required(parse_stream)("stream", stream)
        sent = parse_whole("requests", requests, minimum=0)
        pages = sent or max(1, -(-(parse_whole("rows", rows, minimum=0) or 0) // 1000))
        workspace = self.get_workspace_id()
        return self.get_conn().estimate(pages, f"/api/v9/workspaces/{workspace}")

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection works, and the token's owner, workspace and quota, or what is wrong with it."""
        try:
            return True, self._describe_account()
        except (TogglError, ValueError) as error:
            return False, str(error)

    def _describe_account(self) -> str:
        fields = get_toggl_fields(self.toggl_conn_id)
        fields.read_all()
        self._check_webhook_fields(fields)
        session = TogglHook(self.toggl_conn_id, retry=INTERACTIVE_RETRY).get_conn()
        me = _object(session.request("GET", "/api/v9/me"))
        place = f"no workspace_id set; the default one is {me.get('default_workspace_id')}"
        if fields.workspace_id is None:
            lanes = session.read_quota()
        else:
            workspace = _object(session.request("GET", f"/api/v9/workspaces/{fields.workspace_id}"))
            lanes = session.read_quota()
            place = f"workspace {workspace.get('name')!r}, plan {find_plan(workspace, lanes)}"
        left = [f"{lane.remaining} of {lane.total} for {name}" for name, lane in sorted(lanes.items())]
        requests = ", ".join(left) or f"unknown for {USER_LANE}"
        return f"{me.get('fullname')} ({me.get('timezone')}); {place}; requests left this hour: {requests}."

    def _check_webhook_fields(self, fields: TogglFields) -> None:
        """Check the connection's callback and event store without opening either."""
        if fields.webhook_callback_url:
            get_callback_url(self.toggl_conn_id)
        if fields.event_store_conn_id:
            from airflow_provider_toggl.hooks.events import check_store_connection  # noqa: PLC0415 - few connections have one

            check_store_connection(fields.event_store_conn_id)

    def _request(
        self, stream: str, workspace_id: int | str | None, since: Day | None, until: Day | None, page_size: int
    ) -> PullRequest:
        from airflow_provider_toggl.core.sync.pull import PullRequest  # noqa: PLC0415 - only reading pages needs it

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
        from airflow_provider_toggl.core.sync.pull import read_pages  # noqa: PLC0415 - only reading pages needs it

        report_stream_read(self, request.workspace_id, request.stream)
        return read_pages(self.get_conn(), request)


def check_token(connection: Connection) -> str:
    """Return the API token of a Toggl connection.

    :raises ConfigurationError: there is none, or it is no API token of Toggl Track.
    """
    name, token = connection.conn_id, connection.password
    if token == "api_token":  # noqa: S105 - no secret: the password in Toggl's examples
        raise ConfigurationError(
            f"The password of connection {name!r} is the word api_token: put the API token itself there, and leave the "
            "login empty."
        )
    if not token:
        also = " Its login is not used." if connection.login else ""
        raise ConfigurationError(
            f"Connection {name!r} has no API token: put it into the password (Toggl: Profile "
            f"settings, API token).{also}"
        )
    if token.strip().startswith(TOGGL_2_PREFIX):
        raise ConfigurationError(
            f"The connection's password is an API token of Toggl 2.0 (Focus): it begins with {TOGGL_2_PREFIX}. Toggl "
            "2.0 is another product with another API, and this package works with Toggl Track only. If you have a "
            "Toggl Track account, use the API token from the bottom of https://track.toggl.com/profile."
        )
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            f"The password of connection {name!r} contains a space, a line end or another character that no API token "
            "has: copy the token again."
        )
    return token


def to_data_frame(table: pa.Table, df_type: DataFrameType) -> Any:
    """Return an Arrow table as a data frame of another library.

    :raises ConfigurationError: the type is unknown, or its library is not installed.
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
    """Return a pandas frame with nullable integers: as floats, long IDs would change where others are missing."""
    import pandas as pd
    import pyarrow as pa

    kept = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.bool_(): pd.BooleanDtype()}
    return table.to_pandas(types_mapper=kept.get)


def _last_of_each(table: pa.Table) -> pa.Table:
    """Return the last row of each ID."""
    import pyarrow as pa
    import pyarrow.compute as pc

    positions = table.select(["id"]).append_column("position", pa.array(range(table.num_rows), pa.int64()))
    last = positions.group_by("id").aggregate([("position", "max")])["position_max"]
    return table if len(last) == table.num_rows else table.take(pc.take(last, pc.sort_indices(last)))


def _object(response: TogglResponse) -> dict[str, Any]:
    """Return the JSON object of a response; anything else does not come from Toggl."""
    decoded = response.json()
    if not isinstance(decoded, dict):
        raise MalformedAnswer(
            f"The response to {response.method} {response.path} does not come from Toggl: check the base URL in the "
            "connection's host.",
            status=response.status,
        )
    return decoded


def _rows_of(page: Page) -> list[dict[str, Any]]:
    decoded = json.loads(page.body) if page.body else []
    rows = decoded.get("data") if isinstance(decoded, dict) else decoded
    return rows or []
