"""Load a stream of Toggl into a SQL database: everything at first, then what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_stream, parse_whole, required
from airflow_provider_toggl.core.errors import PlanLacksFeature
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.core.streams import check_days
from airflow_provider_toggl.hooks.activity import record_load
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID
from airflow_provider_toggl.transfers.outlets import MAX_PARTITIONS, check_outlets
from airflow_provider_toggl.transfers.read_transfer import ReadTransfer


class TogglToSqlOperator(ReadTransfer):
    """Load one stream of a Toggl workspace into a table, page by page, within the hourly quota.

    The first run reads the whole history, and each later run reads what changed since. Each page is loaded in one
    transaction with its progress, so an interrupted run goes on with the next page. When the quota is used up, the task
    defers until it resets and holds no worker slot meanwhile. Running it again changes nothing.

    The asset events of the outlets ``toggl://{workspace_id}/{stream}`` and ``toggl://{workspace_id}/days`` have what
    changed. Without a change, there is no event.

    :param stream: ``time_entries`` (all users), ``projects``, ``clients``, ``tags``, ``tasks``, ``users``,
        ``project_users`` or ``groups``. (templated)
    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param warehouse_conn_id: the connection of the warehouse. (templated)
    :param schema: schema of the tables. (templated)
    :param since: first day of the history (``2024-01-01``, in the zone of the token's owner), or a moment with its
        zone. Without it, the first run goes back until a year has no entries. Only for time entries. (templated)
    :param until: last day, with ``incremental=False``. (templated)
    :param incremental: False reads the days, or the whole list, again and moves no watermark. (templated)
    :param page_size: entries to ask for in a page; Toggl may give fewer. (templated)
    :param report_lag: seconds that a change may take to show in reports; by default ``[toggl] report_lag`` (300).
        (templated)
    :param windows_per_run: years of history that a run reads changes of; in a longer history they take turns.
        (templated)
    :param absent_share: if a complete list lacks more than this share of the known rows, and more than ``absent_rows``,
        the task fails instead of marking them as absent. (templated)
    :param absent_rows: this many rows may be missing at once, whatever their share. (templated)
    :param facts_timezone: time zone of the local dates in the view ``time_entry_facts``; UTC until one is set.
        (templated)
    :param keep_history: True keeps each version of a time entry from now on, for the view ``time_entry_changes``; False
        stops that. It holds for all tasks that load into this warehouse. By default it is ``[toggl] keep_history``, or
        stays as it is. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of deferring.
    :param max_partitions: changed days that one run adds to an outlet ``toggl://{workspace_id}/days``; the next runs
        add the others. (templated)
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
        **ReadTransfer.argument_parsers,
        "stream": required(parse_stream),
        "incremental": required(parse_flag),
        "windows_per_run": required(partial(parse_whole, minimum=1)),
    }
    checked_together = frozenset({"stream", "since", "until", "incremental"})

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
        max_partitions: int = MAX_PARTITIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stream = stream
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.since = since
        self.until = until
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
        """Check that the days fit the stream and each other."""
        since, until = parse_day("since", self.since), parse_day("until", self.until)
        stream = parse_stream("stream", self.stream)
        check_days(stream or "", since, until, incremental=bool(parse_flag("incremental", self.incremental)))
        check_range(since, until)

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Load pages until the stream is up to date; return the summary."""
        from airflow_provider_toggl.core.sync.pull import Pull, PullRequest, PullSummary  # noqa: PLC0415 - parsing a DAG needs none of it

        hook = TogglHook(self.toggl_conn_id)
        request = PullRequest(
            stream=self.stream,
            incremental=self.incremental,
            windows_per_run=self.windows_per_run,
            absent_share=self.absent_share,
            absent_rows=self.absent_rows,
            **self.request_arguments(hook, progress),
        )
        outlets = self.open_outlets(request.workspace_id)
        earlier = PullSummary(**progress["summary"]) if progress["summary"] else None
        with self.open_warehouse() as target:
            session = hook.get_conn()
            pull = Pull(session, target, request, summary=earlier)
            try:
                self.run_transfer(pull, session, target, outlets, progress)
            except PlanLacksFeature as error:
                if self.stream == "time_entries":
                    raise
                raise AirflowSkipException(f"{self.stream} is not part of the workspace's plan. {error}") from None
        record_load(
            self.toggl_conn_id,
            workspace_id=request.workspace_id,
            stream=self.stream,
            watermark=pull.summary.watermark,
            warehouse=request.warehouse,
        )
        return pull.summary.as_dict()

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary as one line of text."""
        from airflow_provider_toggl.core.sync.pull import PullSummary  # noqa: PLC0415 - few tasks wait

        return str(PullSummary(**summary))
