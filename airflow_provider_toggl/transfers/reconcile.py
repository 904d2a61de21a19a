"""Reconcile the time entries in a SQL database with Toggl: verify them, and repair what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, parse_day, parse_flag, parse_seconds, required
from airflow_provider_toggl.core.errors import AbsenceRefused, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.extract.windows import check_range
from airflow_provider_toggl.hooks.activity import (
    claim_approval,
    record_reconciliation,
    release_approval,
    use_up_approval,
)
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.task_context import find_task
from airflow_provider_toggl.transfers.read_transfer import ReadTransfer


class TogglReconcileOperator(ReadTransfer):
    """Compare every time entry of a workspace with Toggl, read again what differs, and mark what was deleted.

    It finds what webhooks and pulls missed: deleted entries, lost changes, entries that lost a tag. A year in which
    nothing changed takes three requests. An entry is marked as absent only after a second report confirms it; what
    cannot be verified stays live, and the summary has the reason.

    The asset events of the outlets ``toggl://{workspace_id}/time_entries`` and ``toggl://{workspace_id}/days`` have the
    changed entries and days. Without a change, there is no event.

    :param since: first day (``2024-01-01``, in the zone of the token's owner), or a moment with its zone; by default
        the day of the first known entry. (templated)
    :param until: last day; by default tomorrow, and the later days that have planned entries. (templated)
    :param overlap: how many seconds before the mark of the last run to look for changes again. (templated)
    :param settle: seconds after which a changed entry is certainly in reports. (templated)
    :param allow_mass_absence: True approves a mass deletion: both limits are ignored. (templated)
    """

    template_fields: Sequence[str] = (
        *ReadTransfer.template_fields,
        "overlap",
        "settle",
        "allow_mass_absence",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **ReadTransfer.argument_parsers,
        "overlap": required(parse_seconds),
        "settle": required(parse_seconds),
        "allow_mass_absence": parse_flag,
    }
    checked_together = frozenset({"since", "until"})

    def __init__(
        self,
        *,
        overlap: float = 86_400,
        settle: float = 86_400,
        allow_mass_absence: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.overlap = overlap
        self.settle = settle
        self.allow_mass_absence = allow_mass_absence
        self.check_arguments()

    def check_together(self) -> None:
        """Check that ``since`` is not after ``until``."""
        check_range(parse_day("since", self.since), parse_day("until", self.until))

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Verify all days; return the summary."""
        from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules  # noqa: PLC0415 - parsing a DAG needs none of it
        from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary  # noqa: PLC0415 - parsing a DAG needs none of it
        from airflow_provider_toggl.core.reconcile.run import Reconcile  # noqa: PLC0415 - parsing a DAG needs none of it

        hook = TogglHook(self.toggl_conn_id)
        workspace_id = hook.get_workspace_id(self.workspace_id)
        outlets = self.open_outlets(workspace_id)
        refused = None
        with self._using_approval(workspace_id, progress):
            rules = DeletionRules(
                settle=timedelta(seconds=self.settle),
                absent_share=self.absent_share,
                absent_rows=self.absent_rows,
                allow_mass=bool(self.allow_mass_absence) or progress["mass_allowed"],
            )
            request = ReconcileRequest(
                overlap=timedelta(seconds=self.overlap),
                rules=rules,
                collect_changes=bool(outlets),
                **self.request_arguments(hook, progress),
            )
            earlier = ReconcileSummary(**progress["summary"]) if progress["summary"] else None
            with self.open_warehouse() as target:
                session = hook.get_conn()
                run = Reconcile(session, target, request, summary=earlier)
                try:
                    self.run_transfer(run, session, target, outlets, progress)
                except AbsenceRefused as refusal:
                    refused = refusal
        recorded = {} if refused is None else {"refused": str(refused)}
        record_reconciliation(self.toggl_conn_id, run.summary.as_dict(), warehouse=request.warehouse, **recorded)
        if refused is not None:
            raise refused
        return run.summary.as_dict()

    @contextmanager
    def _using_approval(self, workspace_id: int, progress: dict[str, Any]) -> Iterator[None]:
        """Claim a person's approval for the run; use it up at the end, or give it back after the last try has failed.

        :param progress: gets ``mass_allowed``, whether the run has an approval.
        """
        claim = (self.toggl_conn_id, workspace_id, self.claimant)
        if "mass_allowed" not in progress:
            progress["mass_allowed"] = claim_approval(*claim)
        try:
            yield
        except BaseException as error:  # a timeout of Airflow's is no Exception
            task = find_task(self.run_context)
            continues = (self.deferrable and isinstance(error, (QuotaExhausted, RateLimited))) or (
                task is not None and task.has_retries_left
            )
            if progress["mass_allowed"] and not continues:
                release_approval(*claim)
            raise
        if progress["mass_allowed"]:
            use_up_approval(*claim)

    def list_streams_written(self) -> list[str]:
        """Return the stream that is reconciled."""
        return ["time_entries"]

    def count_rows_written(self) -> dict[str, int]:
        """Return how many time entries the run has added, changed or marked as deleted."""
        done = self.summary
        return {} if done is None else {"time_entries": done.added + done.edited + done.deleted}

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary as one line of text."""
        from airflow_provider_toggl.core.reconcile.request import ReconcileSummary  # noqa: PLC0415 - few tasks wait

        return str(ReconcileSummary(**summary))
