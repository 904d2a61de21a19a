"""Tasks that change something in Toggl, and what they know of their own earlier tries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.operators.attempt_state import AttemptState, open_attempt_state
from airflow_provider_toggl.operators.quota_deferral import QuotaDeferral
from airflow_provider_toggl.task_context import find_run, find_task, run_started

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

COLOR = "#e4cde9"


class TogglWriteOperator(QuotaDeferral):
    """Changes something in Toggl, once, however often the task is tried.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of waiting for the quota.
    """

    template_fields: Sequence[str] = ("toggl_conn_id", "workspace_id")
    ui_color = COLOR

    #: Where the task at hand notes what its next try must know.
    notes: AttemptState
    #: Whether an earlier try may have sent the request.
    is_retry: bool
    #: When the DAG run started, or after its end was cleared and started anew.
    started: datetime
    #: No try sent anything before that.
    sent_after: datetime
    #: As many retries as Airflow would make by itself; other ones once somebody has cleared the task.
    max_tries: int | None
    _heeds_notes = False

    def __init__(
        self,
        *,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id

    def execute(self, context: Context) -> Any:
        """Do it, or defer until the quota allows it."""
        self._begin(context)
        # What the first try of a run finds is of a run of the same name that was deleted.
        self._heeds_notes = self.is_retry
        return super().execute(context)

    def resume(self, context: Context, event: Any = None, **kept: Any) -> Any:
        """Go on after the wait."""
        self._begin(context)
        self._heeds_notes = True
        return super().resume(context, event, **kept)

    def open_workspace(self) -> tuple[TogglSession, int]:
        """Return the session of the connection and the workspace to work on."""
        hook = TogglHook(self.toggl_conn_id)
        return hook.get_conn(), hook.get_workspace_id(self.workspace_id)

    def recall(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return what an earlier try, or this one before it waited, noted of a request in doubt; nothing where none is.

        A note of the file kind may be on another host; what a task leaves for itself when it defers is not.
        """
        return (self.notes.read() if self._heeds_notes else {}) or progress.get("note") or {}

    def keep(self, progress: dict[str, Any], note: dict[str, Any] | None) -> None:
        """Note of a request that it is in doubt from now on; None: that it is in doubt no more."""
        progress["note"] = note
        if note is None:
            self.notes.drop()
        else:
            self.notes.write(note)

    def _begin(self, context: Context) -> None:
        self.notes = open_attempt_state(context)
        task, run = find_task(context), find_run(context)
        self.max_tries = None if task is None else task.max_tries
        self.is_retry = task is not None and task.try_number > 1
        self.started = run_started(context)
        due = run.run_after if run.clear_number else None
        self.sent_after = self.started if due is None else min(self.started, due)
