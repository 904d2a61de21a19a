"""The bases of operators that read from Toggl: shared arguments, and runs that may have to wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_number, parse_seconds, parse_whole, required
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.core.lineage import DatasetName
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, resolve_keep_history
from airflow_provider_toggl.hooks.warehouse import open_warehouse as open_target
from airflow_provider_toggl.links import TogglReportLink
from airflow_provider_toggl.operators.quota_deferral import RunDeferral
from airflow_provider_toggl.transfers.lineage import LoadLineage, name_workspace_streams
from airflow_provider_toggl.transfers.outlets import (
    MAX_PARTITIONS,
    WAREHOUSE_PARSERS,
    Outlets,
    check_outlets,
    workspace_source,
)

if TYPE_CHECKING:
    from airflow_provider_toggl.core.client.limits.quota import Estimate
    from airflow_provider_toggl.core.client.session import TogglSession
    from airflow_provider_toggl.core.load.merging.changes import Changes
    from airflow_provider_toggl.core.load.warehouse import Warehouse


class ReadingRun(Protocol):
    """A run that reads from Toggl."""

    summary: Any

    def run(self) -> Any:
        """Read and load until nothing is left."""

    def estimate(self) -> Estimate | None:
        """Return how many requests are left, where that is known."""


class TransferRun(ReadingRun, Protocol):
    """A pull into a warehouse, or a reconciliation."""

    changes: Changes


class ReadingTask(RunDeferral):
    """Reads from Toggl. Subclasses choose what, and into what.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param since: first day. (templated)
    :param until: last day. (templated)
    :param page_size: entries to ask for in a page; Toggl may give fewer. (templated)
    :param report_lag: seconds that a change may take to show in reports; by default ``[toggl] report_lag`` (300).
        (templated)
    :param deferrable: False fails with ``QuotaExhausted`` or ``RateLimited`` instead of deferring.
    """

    template_fields: Sequence[str] = (*RunDeferral.template_fields, "since", "until", "page_size", "report_lag")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **RunDeferral.argument_parsers,
        "since": parse_day,
        "until": parse_day,
        "page_size": required(partial(parse_whole, minimum=1, maximum=10_000)),
        "report_lag": parse_seconds,
    }
    operator_extra_links = (*RunDeferral.operator_extra_links, TogglReportLink())
    ui_color = "#f5e1f0"

    def __init__(
        self,
        *,
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        page_size: int = 1000,
        report_lag: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.since: Any = since
        self.until: Any = until
        self.page_size = page_size
        self.report_lag = report_lag

    def request_arguments(self, hook: TogglHook, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that ``PullRequest`` and ``ReconcileRequest`` have in common."""
        lag = self.report_lag if self.report_lag is not None else settings.report_lag()
        return {
            **self.build_attempt_arguments(progress),
            "workspace_id": hook.get_workspace_id(self.workspace_id),
            "since": self.since,
            "until": self.until,
            "page_size": self.page_size,
            "lag": timedelta(seconds=lag),
        }

    def run_reading(self, run: ReadingRun, session: TogglSession, progress: dict[str, Any]) -> None:
        """Run to the end; keep the progress if the quota runs out before the end.

        :raises QuotaExhausted: the task has to wait; ``progress`` has what it needs to go on.
        :raises RateLimited: as above.
        """
        try:
            with session.claiming(self.claimant):
                run.run()
        except (QuotaExhausted, RateLimited):
            run.summary.deferrals += 1
            self.estimate = run.estimate()
            progress["summary"] = run.summary.as_dict()
            raise


class ReadTransfer(LoadLineage, ReadingTask):
    """Reads from Toggl into a warehouse. Subclasses choose what runs.

    :param warehouse_conn_id: the connection of the warehouse. (templated)
    :param schema: schema of the tables. (templated)
    :param absent_share: if more than this share of the live rows of a list or window is missing at once, and more than
        ``absent_rows``, the task fails with ``AbsenceRefused`` instead of marking them as absent. (templated)
    :param absent_rows: this many may be missing at once, whatever their share. (templated)
    :param facts_timezone: time zone of the local dates in the view ``time_entry_facts``; UTC until one is set.
        (templated)
    :param keep_history: True keeps each version of a time entry from now on, for the view ``time_entry_changes``; False
        stops that. It holds for all tasks that load into this warehouse. By default it is ``[toggl] keep_history``, or
        stays as it is. (templated)
    :param max_partitions: the most changed days that one run adds to an outlet ``toggl://{workspace_id}/days``; the
        next runs add the others. (templated)
    """

    template_fields: Sequence[str] = (
        *ReadingTask.template_fields,
        "warehouse_conn_id",
        "schema",
        "absent_share",
        "absent_rows",
        "facts_timezone",
        "keep_history",
        "max_partitions",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **ReadingTask.argument_parsers,
        **WAREHOUSE_PARSERS,
        "absent_share": required(partial(parse_number, minimum=0.0, maximum=1.0)),
        "absent_rows": required(partial(parse_whole, minimum=0)),
    }
    #: What the run has done so far, for lineage; None before it begins.
    summary: Any = None

    def __init__(
        self,
        *,
        warehouse_conn_id: str = DEFAULT_CONN_ID,
        schema: str = "toggl",
        absent_share: float = 0.2,
        absent_rows: int = 20,
        facts_timezone: str | None = None,
        keep_history: bool | None = None,
        max_partitions: int = MAX_PARTITIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.absent_share = absent_share
        self.absent_rows = absent_rows
        self.facts_timezone = facts_timezone
        self.keep_history = keep_history
        self.max_partitions = max_partitions
        check_outlets(self, "workspace_id", self.workspace_id)

    def name_inputs(self) -> list[DatasetName]:
        """Return the names of the streams of the workspace that the task reads."""
        workspace_id = self.resolve_workspace_id("workspace_id", self.parsed("toggl_conn_id"))
        return name_workspace_streams(workspace_id, *self.list_streams_written())

    def open_outlets(self, workspace_id: int) -> Outlets:
        """Return the outlets of the task.

        :raises ConfigurationError: an outlet is of another workspace.
        """
        outlets = Outlets(self, self.run_context, self.max_partitions)
        outlets.check_workspace(workspace_id, workspace_source(self.workspace_id, self.toggl_conn_id))
        return outlets

    def open_warehouse(self) -> Warehouse:
        """Return the warehouse to load into."""
        return open_target(
            self.warehouse_conn_id,
            schema=self.schema,
            facts_timezone=self.facts_timezone,
            keep_history=resolve_keep_history(self.keep_history),
        )

    def request_arguments(self, hook: TogglHook, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the fields that both requests have in common, with the warehouse."""
        arguments = super().request_arguments(hook, progress)
        return {**arguments, "warehouse": f"{self.warehouse_conn_id}.{self.schema}"}

    def run_transfer(
        self, run: TransferRun, session: TogglSession, target: Warehouse, outlets: Outlets, progress: dict[str, Any]
    ) -> None:
        """Run to the end and report the changes to the outlets; keep the progress if the quota runs out before the end.

        :raises QuotaExhausted: the task has to wait; ``progress`` has what it needs to go on.
        :raises RateLimited: as above.
        """
        self.summary = run.summary
        outlets.begin(target, run.changes, progress)
        try:
            self.run_reading(run, session, progress)
            outlets.report(target, run.changes)
        except (QuotaExhausted, RateLimited):
            outlets.keep(run.changes, progress)
            raise
