"""Bring a stream of Toggl into a SQL database: whole at first, then what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_stream, parse_whole, required
from airflow_provider_toggl.core.errors import PlanLacksFeature, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.core.streams import check_days
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.activity import record_load
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_target, resolve_keep_history
from airflow_provider_toggl.operators.quota_deferral import RunDeferral
from airflow_provider_toggl.transfers.outlets import (
    MOST_PARTITIONS,
    PULL_PARSERS,
    WAREHOUSE_PARSERS,
    Outlets,
    check_outlets,
    workspace_source,
)

if TYPE_CHECKING:
    from airflow_provider_toggl.core.sync.pull import PullRequest


class TogglToSqlOperator(RunDeferral):
    """Land one stream of a Toggl workspace in a table, page by page, within the hourly quota.

    The first run reads the whole history, each later one what changed since. Every page is one transaction of rows and
    progress, so a run that dies goes on from the next page. When the quota is used up the task defers until it resets,
    holding no worker
    slot. The same run twice changes nothing. Outlet assets ``toggl://{workspace_id}/{stream}`` and
    ``toggl://{workspace_id}/days`` are told what changed; without a change there is no event.

    :param stream: ``time_entries`` (all users), ``projects``, ``clients``, ``tags``, ``tasks``, ``users``,
        ``project_users`` or
        ``groups``. (templated)
    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param warehouse_conn_id: where rows land. (templated)
    :param schema: schema of the tables. (templated)
    :param since: first day of the history (``2024-01-01``, of the token owner's zone), or a moment with its zone.
        Without it
        the first run goes back until a year has no entries. Only for time entries. (templated)
    :param until: last day, with ``incremental=False``. (templated)
    :param incremental: False reads the given days, or the whole list, again and moves no watermark. (templated)
    :param page_size: entries to ask for in a page; Toggl may give fewer. (templated)
    :param report_lag: seconds that a change may take to show in reports; ``[toggl] report_lag`` by default (300).
        (templated)
    :param windows_per_run: years of history that a run looks through for changes; longer histories take turns.
        (templated)
    :param absent_share: a complete list that lacks more than this share of the known rows (and more than
        ``absent_rows``)
        fails the task instead of marking them absent. (templated)
    :param absent_rows: so many rows may be gone at once whatever their share. (templated)
    :param facts_timezone: zone of the local dates in view ``time_entry_facts`` (UTC until one is set). (templated)
    :param keep_history: True keeps each version of a time entry that is seen from now on, for the view
        ``time_entry_changes``; False stops that, for all who land in this warehouse. Without it, it stays as it is,
        unless ``[toggl] keep_history`` is set. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of deferring.
    :param max_partitions: days to tell at once to an outlet ``toggl://{workspace_id}/days``; the rest comes later.
        (templated)
    """

    template_fields: Sequence[str] = (
        "toggl_conn_id",
        "workspace_id",
        "warehouse_conn_id",
        "schema",
        "stream",
        "since",
        "until",
        "incremental",
        "page_size",
        "report_lag",
        "windows_per_run",
        "absent_share",
        "absent_rows",
        "facts_timezone",
        "keep_history",
        "max_partitions",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **RunDeferral.argument_parsers,
        **WAREHOUSE_PARSERS,
        **PULL_PARSERS,
        "stream": required(parse_stream),
        "incremental": required(parse_flag),
        "windows_per_run": required(partial(parse_whole, minimum=1)),
    }
    checked_together = frozenset({"stream", "since", "until", "incremental"})
    ui_color = "#f5e1f0"

    def __init__(
        self,
        *,
        stream: str,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        warehouse_conn_id: str = DEFAULT_CONN_ID,
        schema: str = "toggl",
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        incremental: bool = True,
        page_size: int = 1000,
        report_lag: float | None = None,
        windows_per_run: int = 3,
        absent_share: float = 0.2,
        absent_rows: int = 20,
        facts_timezone: str | None = None,
        keep_history: bool | None = None,
        max_partitions: int = MOST_PARTITIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stream = stream
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.since: Any = since
        self.until: Any = until
        self.incremental = incremental
        self.page_size = page_size
        self.report_lag = report_lag
        self.windows_per_run = windows_per_run
        self.absent_share = absent_share
        self.absent_rows = absent_rows
        self.facts_timezone = facts_timezone
        self.keep_history = keep_history
        self.max_partitions = max_partitions
        self.check_arguments()
        check_outlets(self, "workspace_id", workspace_id)

    def check_together(self) -> None:
        """Check that the days go with the stream and with each other."""
        since, until = parse_day("since", self.since), parse_day("until", self.until)
        stream = parse_stream("stream", self.stream)
        check_days(stream or "", since, until, incremental=bool(parse_flag("incremental", self.incremental)))
        check_range(since, until)

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Read and land until the stream is up to date; return the summary."""
        from airflow_provider_toggl.core.sync.pull import Pull, Summary  # noqa: PLC0415 - who only parses a DAG runs nothing

        hook = TogglHook(self.toggl_conn_id)
        request = self._request(hook, progress)
        outlets = Outlets(self, self.run_context, self.max_partitions)
        outlets.check_workspace(request.workspace_id, workspace_source(self.workspace_id, self.toggl_conn_id))
        earlier = Summary(**progress["summary"]) if progress["summary"] else None
        with open_target(
            self.warehouse_conn_id,
            schema=self.schema,
            facts_timezone=self.facts_timezone,
            keep_history=resolve_keep_history(self.keep_history),
        ) as target:
            session = hook.get_conn()
            pull = Pull(session, target, request, summary=earlier)
            outlets.begin(target, pull.changes, progress)
            try:
                with session.claiming(self.claimant):
                    pull.run()
                outlets.tell(target, pull.changes)
            except (QuotaExhausted, RateLimited):
                pull.summary.deferrals += 1
                self.estimate = pull.estimate()
                progress["summary"] = pull.summary.as_dict()
                outlets.keep(pull.changes, progress)
                raise
            except PlanLacksFeature as error:
                if self.stream == "time_entries":
                    raise
                raise AirflowSkipException(f"{self.stream} is not part of the workspace's plan. {error}") from None
        record_load(
            self.toggl_conn_id,
            workspace_id=request.workspace_id,
            stream=self.stream,
            watermark=pull.summary.watermark,
            warehouse=f"{self.warehouse_conn_id}.{self.schema}",
        )
        return pull.summary.as_dict()

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary in a line."""
        from airflow_provider_toggl.core.sync.pull import Summary  # noqa: PLC0415 - few tasks wait

        return str(Summary(**summary))

    def _request(self, hook: TogglHook, progress: dict[str, Any]) -> PullRequest:
        from airflow_provider_toggl.core.sync.pull import PullRequest  # noqa: PLC0415 - who only parses a DAG runs nothing

        lag = self.report_lag if self.report_lag is not None else settings.report_lag()
        return PullRequest(
            stream=self.stream,
            workspace_id=hook.get_workspace_id(self.workspace_id),
            **self.attempt_of(progress),
            since=self.since,
            until=self.until,
            incremental=self.incremental,
            page_size=self.page_size,
            lag=timedelta(seconds=lag),
            windows_per_run=self.windows_per_run,
            absent_share=self.absent_share,
            absent_rows=self.absent_rows,
            warehouse=f"{self.warehouse_conn_id}.{self.schema}",
        )
