"""Base of the operators that write to Toggl: a write takes effect once, however often its task is tried."""

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


class TogglWriteBase(QuotaDeferral):
    """Writes to Toggl once, however often the task is tried.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; by default the connection's. (templated)
    :param deferrable: if False, the task fails with ``QuotaExhausted`` instead of waiting for the quota.
    """

    template_fields: Sequence[str] = ("toggl_conn_id", "workspace_id")
    ui_color = COLOR

    #: What the next try must know.
    attempt_state: AttemptState
    #: Whether an earlier try may have sent the request.
    is_retry: bool
    #: When the DAG run started; the new start if the run had ended and was cleared.
    started: datetime
    #: No try sent anything before this time.
    sent_after: datetime
    #: The number of tries that Airflow allows. It grows when somebody clears the task.
    max_tries: int | None
    _reads_attempt_state = False

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
        """Do the work, or defer until the quota allows it."""
        self._begin(context)
        # State that the first try of a run finds belongs to a deleted run of the same name.
        self._reads_attempt_state = self.is_retry
        return super().execute(context)

    def resume(self, context: Context, event: Any = None, **kept: Any) -> Any:
        """Continue after the wait."""
        self._begin(context)
        self._reads_attempt_state = True
        return super().resume(context, event, **kept)

    def open_workspace(self) -> tuple[TogglSession, int]:
        """Return the session of the connection and the ID of the workspace."""
        hook = TogglHook(self.toggl_conn_id)
        return hook.get_conn(), hook.get_workspace_id(self.workspace_id)

    def find_sent(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return what an earlier try, or this one before it deferred, recorded about a request with an unknown outcome.

        The attempt state may be on another host. What a task keeps when it defers is not.
        """
        return (self.attempt_state.read() if self._reads_attempt_state else {}) or progress.get("sent") or {}

    def record_sent(self, progress: dict[str, Any], sent: dict[str, Any] | None) -> None:
        """Record a request whose outcome is unknown from now on; None when it is known."""
        progress["sent"] = sent
        if sent is None:
            self.attempt_state.clear()
        else:
            self.attempt_state.write(sent)

    def _begin(self, context: Context) -> None:
        self.attempt_state = open_attempt_state(context, self.toggl_conn_id)
        task, run = find_task(context), find_run(context)
        self.max_tries = None if task is None else task.max_tries
        self.is_retry = task is not None and task.try_number > 1
        self.started = run_started(context)
        # A cleared run may have sent the request before its new start.
        due = run.run_after if run.clear_number else None
        self.sent_after = self.started if due is None else min(self.started, due)
