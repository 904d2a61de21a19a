"""The base of operators that read from Toggl into a warehouse: shared arguments, and runs that may have to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_toggl.core.arguments import Parser
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import open_warehouse as open_target
from airflow_provider_toggl.hooks.warehouse import resolve_keep_history
from airflow_provider_toggl.operators.quota_deferral import RunDeferral
from airflow_provider_toggl.transfers.outlets import PULL_PARSERS, WAREHOUSE_PARSERS, Outlets, workspace_source

if TYPE_CHECKING:
    from airflow_provider_toggl.core.client.limits.quota import Estimate
    from airflow_provider_toggl.core.client.session import TogglSession
    from airflow_provider_toggl.core.load.merging.changes import Changes
    from airflow_provider_toggl.core.load.warehouse import Warehouse


class TransferRun(Protocol):
    """A pull or a reconciliation."""

    summary: Any
    changes: Changes

    def run(self) -> Any:
        """Read and load until nothing is left."""

    def estimate(self) -> Estimate | None:
        """Return how many requests are left, where that is known."""


class ReadTransfer(RunDeferral):
    """Reads from Toggl into a warehouse. Subclasses document the arguments and choose what runs."""

    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **RunDeferral.argument_parsers,
        **WAREHOUSE_PARSERS,
        **PULL_PARSERS,
    }
    ui_color = "#f5e1f0"

    toggl_conn_id: str
    workspace_id: int | str | None
    warehouse_conn_id: str
    schema: str
    since: Any
    until: Any
    page_size: int
    report_lag: float | None
    facts_timezone: str | None
    keep_history: bool | None
    max_partitions: int

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
        """Return the arguments that the requests of all runs have."""
        lag = self.report_lag if self.report_lag is not None else settings.report_lag()
        return {
            **self.build_attempt_arguments(progress),
            "workspace_id": hook.get_workspace_id(self.workspace_id),
            "since": self.since,
            "until": self.until,
            "page_size": self.page_size,
            "lag": timedelta(seconds=lag),
            "warehouse": f"{self.warehouse_conn_id}.{self.schema}",
        }

    def run_transfer(
        self, run: TransferRun, session: TogglSession, target: Warehouse, outlets: Outlets, progress: dict[str, Any]
    ) -> None:
        """Run to the end and report what changed to the outlets; keep the progress where the quota is used up first.

        :raises QuotaExhausted: the task has to wait; ``progress`` has what it needs to go on. So does ``RateLimited``.
        """
        outlets.begin(target, run.changes, progress)
        try:
            with session.claiming(self.claimant):
                run.run()
            outlets.report(target, run.changes)
        except (QuotaExhausted, RateLimited):
            run.summary.deferrals += 1
            self.estimate = run.estimate()
            progress["summary"] = run.summary.as_dict()
            outlets.keep(run.changes, progress)
            raise
