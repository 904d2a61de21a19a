"""Load a stream of Toggl into a SQL database: everything at first, then what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.transfers.read_transfer import ReadTransfer
from airflow_provider_toggl.transfers.stream_arguments import StreamReadingTask


class TogglToSqlOperator(StreamReadingTask, ReadTransfer):
    """Load one stream of a Toggl workspace into a table, page by page, within the hourly quota.

    The first run reads the whole history, and each later run reads what changed since. Each page is loaded in one
    transaction with its progress, so an interrupted run goes on with the next page. When the quota is used up, the task
    defers until it resets and holds no worker slot meanwhile. Running it again changes nothing.

    The asset events of the outlets ``toggl://{workspace_id}/{stream}`` and ``toggl://{workspace_id}/days`` have what
    changed. Without a change, there is no event.
    """

    template_fields: Sequence[str] = (*ReadTransfer.template_fields, "stream", "incremental", "windows_per_run")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **ReadTransfer.argument_parsers,
        **StreamReadingTask.argument_parsers,
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Load pages until the stream is up to date; return the summary."""
        from airflow_provider_toggl.core.sync.pull import Pull, PullRequest, PullSummary  # noqa: PLC0415 - parsing a DAG needs none of it

        hook = TogglHook(self.toggl_conn_id)
        request = PullRequest(
            **self.stream_arguments(),
            absent_share=self.absent_share,
            absent_rows=self.absent_rows,
            **self.request_arguments(hook, progress),
        )
        outlets = self.open_outlets(request.workspace_id)
        earlier = PullSummary(**progress["summary"]) if progress["summary"] else None
        with self.open_warehouse() as target:
            session = hook.get_conn()
            pull = Pull(session, target, request, summary=earlier)
            self.run_transfer(pull, session, target, outlets, progress)
        self.end_run(request, pull.summary)
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
