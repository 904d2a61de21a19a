"""Base classes of operators that defer while they wait for Toggl's quota or after a 429: waiting holds no slot.

Short waits do not defer: ``core/client/session.py`` sleeps up to ``MAX_WAIT_IN_SLOT``.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.arguments import Parser, parse_conn_id, parse_flag, parse_id, required
from airflow_provider_toggl.core.client.session import observe_waits
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import ConfigurationError, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, WaitReason
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.activity import clear_waiting, record_waiting
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.links import TogglPageLink
from airflow_provider_toggl.task_context import find_run, find_task
from airflow_provider_toggl.templates import CheckedArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_toggl.core.client.limits.quota import Estimate

#: Tasks that wait for the same reset resume spread over this many seconds, not all at once.
SPREAD_SECONDS = 2.0


class QuotaDeferral(CheckedArguments, BaseOperator):
    """Base of operators that defer until the quota resets, and then continue their work.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; by default the connection's. (templated)
    :param deferrable: if False, the task fails with ``QuotaExhausted`` or ``RateLimited`` instead of deferring.
    """

    template_fields: Sequence[str] = ("toggl_conn_id", "workspace_id")
    operator_extra_links: Collection[BaseOperatorLink] = (TogglPageLink(),)
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        "deferrable": required(parse_flag),
        "toggl_conn_id": parse_conn_id,
        "workspace_id": parse_id,
    }
    #: The context of the current try.
    run_context: Context
    #: What is left to do when the task has to wait, if that is known.
    estimate: Estimate | None = None

    def __init__(
        self,
        *,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id: Any = workspace_id
        self.deferrable = deferrable

    def work(self, progress: dict[str, Any]) -> Any:
        """Do the work and return the result.

        :param progress: what an earlier attempt stored there before it deferred; empty at the start.
        """
        raise NotImplementedError

    def describe_progress(self, progress: dict[str, Any]) -> str:
        """Return a log line about what is done when the task starts to wait, empty for none."""
        return ""

    def partial_summary(self, progress: dict[str, Any]) -> Mapping[str, Any]:
        """Return the summary of what is done when the task starts to wait."""
        return {}

    def build_resume_kwargs(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``resume`` that store a progress."""
        return {"progress": progress}

    def execute(self, context: Context) -> Any:
        """Do the work, or defer until the quota allows it."""
        return self._attempt(context, {})

    def resume(self, context: Context, event: Any = None, **kept: Any) -> Any:
        """Continue after the wait."""
        return self._attempt(context, _kept(event, kept).get("progress") or {}, is_resumed=True)

    def _attempt(self, context: Context, progress: dict[str, Any], *, is_resumed: bool = False) -> Any:
        self.parse_arguments()
        self.run_context = context = context or {}
        self.estimate = None
        telemetry.connect()
        task = find_task(context)
        if is_resumed or (task is not None and task.try_number > 1):
            clear_waiting(self.toggl_conn_id, task_label(self.task_id, context))
        stop: QuotaExhausted | RateLimited
        try:
            with (
                fields(connection=self.toggl_conn_id),
                observe_waits(lambda *wait: self._wait_in_slot(progress, *wait)),
            ):
                return self.work(progress)
        except QuotaExhausted as error:
            stop, until = error, error.resets_at
        except RateLimited as error:
            stop, until = error, error.retry_at
        if not self.deferrable:
            raise stop
        return self._defer_until(until, stop, progress)

    def _defer_until(self, until: datetime, stop: QuotaExhausted | RateLimited, progress: dict[str, Any]) -> NoReturn:
        from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger  # noqa: PLC0415 - few tasks wait

        spread = random.uniform(0.0, SPREAD_SECONDS)  # noqa: S311 - spreads load, guards nothing
        moment = until + timedelta(seconds=spread)
        reason: WaitReason = stop.waits_for if isinstance(stop, QuotaExhausted) else "rate"
        waiting = self._waiting(progress, reason, moment)
        with fields(connection=self.toggl_conn_id, deferred_until=moment.isoformat()):
            lines = [f"{stop.what}.", *waiting.lines(waiting.since), self.describe_progress(progress)]
            for line in filter(None, lines):
                self.log.info("%s", line)
            self.log.info("The task holds no worker slot until then.")
        record_waiting(self.toggl_conn_id, waiting)
        metrics.DEFERRALS.add(connection=self.toggl_conn_id, reason=reason)
        kept = self.build_resume_kwargs(progress)
        trigger = TogglWaitTrigger(moment=moment, what_for=waiting.what_for, kept=kept)
        self.defer(trigger=trigger, method_name="resume", kwargs=kept)
        raise ConfigurationError("The task could not be deferred.")

    @contextmanager
    def _wait_in_slot(self, progress: dict[str, Any], reason: str, until: float, spent: int) -> Iterator[None]:
        """Record a long wait of the session for the health page while it lasts."""
        kinds: dict[str, WaitReason] = {"retry": "rate", "database": "database"}
        kind = kinds.get(reason, "permit")
        waiting = self._waiting(progress, kind, utc(until), spent)
        record_waiting(self.toggl_conn_id, waiting)
        try:
            yield
        finally:
            clear_waiting(self.toggl_conn_id, waiting.task)

    def _waiting(self, progress: dict[str, Any], reason: WaitReason, until: datetime, spent: int = 0) -> WaitingTask:
        now, left, done = datetime.now(timezone.utc), self.estimate, self.partial_summary(progress)
        return WaitingTask(
            task=task_label(self.task_id, self.run_context),
            workspace_id=done.get("workspace_id") or self.workspace_id,
            stream=getattr(self, "stream", None),
            reason=reason,
            since=now,
            until=until,
            requests_done=int(done.get("requests") or 0) + spent,
            requests_left=None if left is None else left.requests,
            done_at=None if left is None else max(until, now + timedelta(seconds=left.seconds)),
            rows_done=done.get("rows"),
            warehouse=self._warehouse,
        )

    @property
    def _warehouse(self) -> str:
        conn_id, schema = getattr(self, "warehouse_conn_id", None), getattr(self, "schema", None)
        return f"{conn_id}.{schema}" if conn_id and schema else ""


class RunDeferral(QuotaDeferral):
    """Base of operators that work on one run over all its waits and tries, with a summary that adds up."""

    _is_resumed = False

    def execute(self, context: Context) -> Any:
        """Do the work, or defer until the quota allows it."""
        self._is_resumed = False
        return self._attempt(context, {"run_started": _now(), "summary": None})

    def resume(self, context: Context, event: Any = None, **kept: Any) -> Any:
        """Continue after a wait for the quota, where loading stopped."""
        self._is_resumed = True
        progress = {"run_started": _now(), "summary": None} | _kept(event, kept)
        return self._attempt(context, progress, is_resumed=True)

    @property
    def claimant(self) -> str:
        """The name of the task among those that share the quota, the same over its deferrals and retries."""
        task = find_task(self.run_context)
        return self.task_id if task is None else f"{task.dag_id}/{task.task_id}/{task.run_id}/{task.map_index}"

    def build_attempt_arguments(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a request that identify the attempt."""
        task = find_task(self.run_context)
        return {
            "run_started": datetime.fromisoformat(progress["run_started"]),
            "attempt_key": attempt_key(self.run_context),
            "try_number": 1 if task is None else task.try_number,
            "is_resumed": self._is_resumed,
        }

    def build_resume_kwargs(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``resume`` that store a progress."""
        return progress

    def partial_summary(self, progress: dict[str, Any]) -> Mapping[str, Any]:
        """Return the summary of what is done when the task starts to wait."""
        return progress["summary"] or {}

    def describe_progress(self, progress: dict[str, Any]) -> str:
        """Return a log line about what is done when the task starts to wait."""
        return f"So far: {self.say(progress['summary'])}" if progress["summary"] else ""

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary as one line."""
        raise NotImplementedError


def attempt_key(context: Context) -> str:
    """Return a key that all tries of a task's attempt have in common, and no other attempt has; empty without a task.

    Retries have the same key. Clearing a task increases ``clear_number`` of the run and ``max_tries`` of the task. If a
    run was deleted and created again under the same name, its ``start_date`` differs.
    """
    task, run = find_task(context), find_run(context)
    if task is None:
        return ""
    parts = [task.dag_id, task.task_id, task.run_id, task.map_index, task.max_tries]
    parts += [str(run.start_date), run.clear_number]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def task_label(task_id: str, context: Context) -> str:
    """Return the name of a task in the records of waiting tasks, the same for all its tries."""
    task = find_task(context)
    if task is None:
        return task_id
    index = f"[{task.map_index}]" if task.is_mapped else ""
    return f"{task.dag_id}.{task.task_id}{index} ({task.run_id})"


def _kept(event: Any, kept: dict[str, Any]) -> dict[str, Any]:
    """Return what a task kept when it deferred. ``airflow dags test`` passes only what is in the event."""
    found = kept or (event.get("kept") if isinstance(event, Mapping) else None)
    return dict(found or {})


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()
