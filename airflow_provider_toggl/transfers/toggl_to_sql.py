"""Load a stream of Toggl into a SQL database: everything at first, then what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_stream, parse_whole, required
from airflow_provider_toggl.core.errors import PlanLacksFeature
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.core.streams import check_days
from airflow_provider_toggl.hooks.activity import record_load
from airflow_provider_toggl.hooks.toggl import TogglHook
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
    :param since: first day of the history (``2024-01-01``, in the zone of the token's owner), or a moment with its
        zone. Without it, the first run goes back until a year has no entries. Only for time entries. (templated)
    :param until: last day, with ``incremental=False``. (templated)
    :param incremental: False reads the days, or the whole list, again and moves no watermark. (templated)
    :param windows_per_run: years of history that a run reads changes of; in a longer history they take turns.
        (templated)
    """

    template_fields: Sequence[str] = (
        *ReadTransfer.template_fields,
        "stream",
        "incremental",
        "windows_per_run",
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
        incremental: bool = True,
        windows_per_run: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.stream = stream
        self.incremental = incremental
        self.windows_per_run = windows_per_run
        self.check_arguments()

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

    def list_streams_written(self) -> list[str]:
        """Return the stream of the task."""
        return [self.parsed("stream")]

    def count_rows_written(self) -> dict[str, int]:
        """Return how many rows the run has added, changed or marked as absent."""
        done = self.summary
        return {} if done is None else {done.stream: done.inserted + done.updated + done.absent}

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary as one line of text."""
        from airflow_provider_toggl.core.sync.pull import PullSummary  # noqa: PLC0415 - few tasks wait

        return str(PullSummary(**summary))
