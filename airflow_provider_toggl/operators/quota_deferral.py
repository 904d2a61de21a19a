"""Tasks that give their slot back while they wait for Toggl's quota."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.arguments import Parser, parse_flag, parse_id, parse_text, required
from airflow_provider_toggl.core.errors import ConfigurationError, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.templates import CheckedArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

#: Tasks that wait for the same reset come back within this many seconds of each other, not all at once.
SPREAD_SECONDS = 2.0


class QuotaDeferral(CheckedArguments, BaseOperator):
    """Does its work again after the quota's reset, which it waits for without a worker slot.

    :param deferrable: False fails with ``QuotaExhausted`` or ``RateLimited`` instead of deferring.
    """

    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        "deferrable": required(parse_flag),
        "toggl_conn_id": required(parse_text),
        "workspace_id": parse_id,
    }

    def __init__(self, *, deferrable: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = deferrable

    def work(self, progress: dict[str, Any]) -> Any:
        """Do it, from the begin or from the progress that an earlier attempt noted there, and return the result."""
        raise NotImplementedError

    def so_far(self, progress: dict[str, Any]) -> str:
        """Return what there is to say of a progress when the task begins to wait, with a space before it."""
        return ""

    def kept(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``resume`` that a progress is kept as."""
        return {"progress": progress}

    def execute(self, context: Context) -> Any:
        """Do the work, or defer until the quota allows it."""
        return self._attempt({})

    def resume(self, context: Context, event: Any = None, *, progress: dict[str, Any] | None = None) -> Any:
        """Go on after the wait."""
        return self._attempt(progress or {})

    def _attempt(self, progress: dict[str, Any]) -> Any:
        self.parse_arguments()
        telemetry.connect()
        stop: QuotaExhausted | RateLimited
        try:
            with fields(connection=getattr(self, "toggl_conn_id", "")):
                return self.work(progress)
        except QuotaExhausted as error:
            stop, until = error, error.resets_at
        except RateLimited as error:
            stop, until = error, error.retry_at
        if not self.deferrable:
            raise stop
        return self._defer_until(until, stop, progress)

    def _defer_until(self, until: datetime, stop: Exception, progress: dict[str, Any]) -> NoReturn:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # noqa: PLC0415 - few tasks wait

        spread = random.uniform(0.0, SPREAD_SECONDS)  # noqa: S311 - spreads load, guards nothing
        moment = until + timedelta(seconds=spread)
        with fields(connection=getattr(self, "toggl_conn_id", ""), deferred_until=moment.isoformat()):
            self.log.info(
                "%s The task goes on at %s and holds no worker slot until then.%s", stop, moment, self.so_far(progress)
            )
        reason = "quota" if isinstance(stop, QuotaExhausted) else "rate"
        metrics.DEFERRALS.add(connection=getattr(self, "toggl_conn_id", ""), reason=reason)
        self.defer(trigger=DateTimeTrigger(moment=moment), method_name="resume", kwargs=self.kept(progress))
        raise ConfigurationError("The task could not be deferred.")


class RunDeferral(QuotaDeferral):
    """Does the work of one run of a DAG over all its waits and tries, with a summary that adds up."""

    #: What the task got for the attempt at hand.
    run_context: Context

    def execute(self, context: Context) -> Any:
        """Do the work, or defer until the quota allows it."""
        self.run_context = context
        return self._attempt({"run_started": run_started(context).isoformat(), "summary": None})

    def resume(
        self,
        context: Context,
        event: Any = None,
        *,
        run_started: str | None = None,
        summary: dict[str, Any] | None = None,
        **more: Any,
    ) -> Any:
        """Go on after a wait for the quota, behind what was landed.

        ``airflow dags test`` loses what a task leaves for itself when it defers: then the counts begin anew.
        """
        self.run_context = context
        return self._attempt({"run_started": run_started or _started_text(context), "summary": summary, **more})

    @property
    def claimant(self) -> str:
        """The name under which the task shares the quota with others: the same over its deferrals and retries."""
        ti = self.run_context.get("ti")
        return self.task_id if ti is None else f"{ti.dag_id}/{ti.task_id}/{ti.run_id}/{ti.map_index}"

    def kept(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of ``resume`` that a progress is kept as."""
        return progress

    def so_far(self, progress: dict[str, Any]) -> str:
        """Return what there is to say of a progress when the task begins to wait."""
        return f" So far: {self.say(progress['summary'])}"

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary in a line."""
        raise NotImplementedError


def run_started(context: Context) -> datetime:
    """Return when the DAG run started: the same for every try, so that a retry does not read again what is done."""
    run = context.get("dag_run")
    started = getattr(run, "start_date", None)
    return started if isinstance(started, datetime) else datetime.now(timezone.utc)


def _started_text(context: Context) -> str:
    return run_started(context).isoformat()
