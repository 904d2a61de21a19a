"""Prove that a SQL database has a workspace's time entries as Toggl has them, and repair what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_seconds, required
from airflow_provider_toggl.core.errors import AbsenceRefused, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.activity import record_reconciliation, take_approval
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
    from airflow_provider_toggl.core.reconcile.request import ReconcileRequest


class TogglReconcileOperator(RunDeferral):
    """Compare every time entry of a workspace with Toggl, read again what differs, and mark what is gone.

    A year in which nothing has changed costs three requests. It finds what webhooks and pulls never told: entries that
    were deleted, changes that were lost, entries that lost a tag. No entry is marked absent unless a second answer,
    asked for it beside entries that are there, lacks it too; what cannot be proved stays, and is said with the reason.

    Outlet assets ``toggl://{workspace_id}/time_entries`` and ``toggl://{workspace_id}/days`` are told what really
    changed; without a change there is no event.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param warehouse_conn_id: where the rows are. (templated)
    :param schema: schema of the tables. (templated)
    :param since: first day (``2024-01-01``, of the token owner's zone), or a moment with its zone; that of the first
        entry that is known by default. (templated)
    :param until: last day; tomorrow, and the days for which entries are planned, by default. (templated)
    :param overlap: seconds before the mark of the last run from which changes are looked for again. (templated)
    :param settle: seconds after which an entry shows in reports whatever their lag. (templated)
    :param absent_share: more than this share of a year's entries missing at once, and more than ``absent_rows``, fails
        the task with ``AbsenceRefused`` instead of marking them. (templated)
    :param absent_rows: so many entries may be gone at once whatever their share. (templated)
    :param allow_mass_absence: a person has said that many are really gone, so both limits do not count. (templated)
    :param page_size: entries to ask for in a page; Toggl may give fewer. (templated)
    :param report_lag: seconds that a change may take to show in reports; ``[toggl] report_lag`` by default (300).
        (templated)
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
        "since",
        "until",
        "overlap",
        "settle",
        "absent_share",
        "absent_rows",
        "allow_mass_absence",
        "page_size",
        "report_lag",
        "facts_timezone",
        "keep_history",
        "max_partitions",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **RunDeferral.argument_parsers,
        **WAREHOUSE_PARSERS,
        **PULL_PARSERS,
        "overlap": required(parse_seconds),
        "settle": required(parse_seconds),
        "allow_mass_absence": parse_flag,
    }
    checked_together = frozenset({"since", "until"})
    ui_color = "#f5e1f0"

    def __init__(
        self,
        *,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        warehouse_conn_id: str = DEFAULT_CONN_ID,
        schema: str = "toggl",
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        overlap: float = 86_400,
        settle: float = 86_400,
        absent_share: float = 0.2,
        absent_rows: int = 20,
        allow_mass_absence: bool | str = False,
        page_size: int = 1000,
        report_lag: float | None = None,
        facts_timezone: str | None = None,
        keep_history: bool | None = None,
        max_partitions: int = MOST_PARTITIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.since: Any = since
        self.until: Any = until
        self.overlap = overlap
        self.settle = settle
        self.absent_share = absent_share
        self.absent_rows = absent_rows
        self.allow_mass_absence = allow_mass_absence
        self.page_size = page_size
        self.report_lag = report_lag
        self.facts_timezone = facts_timezone
        self.keep_history = keep_history
        self.max_partitions = max_partitions
        self.check_arguments()
        check_outlets(self, "workspace_id", workspace_id)

    def check_together(self) -> None:
        """Check that the days are in their order."""
        check_range(parse_day("since", self.since), parse_day("until", self.until))

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Prove until every day is compared; return the summary."""
        from airflow_provider_toggl.core.reconcile.request import ReconcileSummary  # noqa: PLC0415 - who only parses a DAG runs nothing
        from airflow_provider_toggl.core.reconcile.run import Reconcile  # noqa: PLC0415 - who only parses a DAG runs nothing

        outlets = Outlets(self, self.run_context, self.max_partitions)
        hook = TogglHook(self.toggl_conn_id)
        workspace_id = hook.get_workspace_id(self.workspace_id)
        outlets.check_workspace(workspace_id, workspace_source(self.workspace_id, self.toggl_conn_id))
        if "mass_allowed" not in progress:
            # Once a run: it goes on with that after a wait for the quota.
            progress["mass_allowed"] = take_approval(self.toggl_conn_id, workspace_id)
        request = self._request(hook, progress, note_changes=bool(outlets))
        earlier = ReconcileSummary(**progress["summary"]) if progress["summary"] else None
        with open_target(
            self.warehouse_conn_id,
            schema=self.schema,
            facts_timezone=self.facts_timezone,
            keep_history=resolve_keep_history(self.keep_history),
        ) as target:
            session = hook.get_conn()
            run = Reconcile(session, target, request, summary=earlier)
            outlets.begin(target, run.changes, progress)
            try:
                with session.claiming(self.claimant):
                    summary = run.run()
                outlets.tell(target, run.changes)
            except (QuotaExhausted, RateLimited):
                run.summary.deferrals += 1
                self.estimate = run.estimate()
                progress["summary"] = run.summary.as_dict()
                outlets.keep(run.changes, progress)
                raise
            except AbsenceRefused as refusal:
                record_reconciliation(
                    self.toggl_conn_id, run.summary.as_dict(), warehouse=request.warehouse, refused=str(refusal)
                )
                raise
        record_reconciliation(self.toggl_conn_id, summary.as_dict(), warehouse=request.warehouse)
        return summary.as_dict()

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary in a line."""
        from airflow_provider_toggl.core.reconcile.request import ReconcileSummary  # noqa: PLC0415 - few tasks wait

        return str(ReconcileSummary(**summary))

    def _request(self, hook: TogglHook, progress: dict[str, Any], *, note_changes: bool) -> ReconcileRequest:
        from airflow_provider_toggl.core.reconcile.deletion_policy import Rules  # noqa: PLC0415 - who only parses a DAG runs nothing
        from airflow_provider_toggl.core.reconcile.request import ReconcileRequest  # noqa: PLC0415 - who only parses a DAG runs nothing

        lag = self.report_lag if self.report_lag is not None else settings.report_lag()
        return ReconcileRequest(
            workspace_id=hook.get_workspace_id(self.workspace_id),
            **self.attempt_of(progress),
            since=self.since,
            until=self.until,
            overlap=timedelta(seconds=self.overlap),
            rules=Rules(
                settle=timedelta(seconds=self.settle),
                absent_share=self.absent_share,
                absent_rows=self.absent_rows,
                allow_mass=bool(self.allow_mass_absence) or progress["mass_allowed"],
            ),
            page_size=self.page_size,
            lag=timedelta(seconds=lag),
            note_changes=note_changes,
            warehouse=f"{self.warehouse_conn_id}.{self.schema}",
        )
