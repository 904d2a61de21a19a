"""The base of operators that read one stream: their arguments, and the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_stream, parse_whole, required
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.core.streams import check_days
from airflow_provider_toggl.hooks.activity import record_load
from airflow_provider_toggl.transfers.read_transfer import ReadingTask

if TYPE_CHECKING:
    from airflow_provider_toggl.core.sync.pull import PullRequest, PullSummary


class StreamReadingTask(ReadingTask):
    """Reads one stream of a workspace.

    :param stream: name of the stream, which is that of its table: ``time_entries`` (all users), ``projects`` and so on,
        see ``core.streams.STREAMS``. (templated)
    :param since: first day of the history (``2024-01-01``, in the zone of the token's owner), or a moment with its
        zone. Without it, the first run goes back until a year has no entries. Refused for other streams. (templated)
    :param until: last day; allowed only with ``incremental=False``. (templated)
    :param incremental: False reads the days, or the whole list, again and moves no watermark. (templated)
    :param windows_per_run: how many years of history a run checks for changes; in a longer history they take turns.
        (templated)
    """

    template_fields: Sequence[str] = (*ReadingTask.template_fields, "stream", "incremental", "windows_per_run")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **ReadingTask.argument_parsers,
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

    def check_together(self) -> None:
        """Check that the days fit the stream and each other."""
        since, until = parse_day("since", self.since), parse_day("until", self.until)
        stream = parse_stream("stream", self.stream)
        check_days(stream or "", since, until, incremental=bool(parse_flag("incremental", self.incremental)))
        check_range(since, until)

    def stream_arguments(self) -> dict[str, Any]:
        """Return the arguments of a request that say what of the stream is read."""
        return {"stream": self.stream, "incremental": self.incremental, "windows_per_run": self.windows_per_run}

    def end_run(self, request: PullRequest, summary: PullSummary) -> None:
        """Record the run for the Toggl page in Airflow, and skip the task where Toggl refused the stream.

        :raises AirflowSkipException: the plan or the token lacks the stream.
        """
        record_load(
            self.toggl_conn_id,
            workspace_id=request.workspace_id,
            stream=self.stream,
            watermark=summary.watermark,
            warehouse=request.warehouse,
            skipped=summary.skipped,
        )
        if summary.skipped:
            raise AirflowSkipException(summary.skipped)
