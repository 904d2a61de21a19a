"""Bring a stream of Toggl into a SQL database: whole at first, then what changed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import AirflowSkipException, BaseOperator, conf

from airflow_provider_toggl.core.errors import ConfigurationError, PlanLacksFeature, QuotaExhausted, RateLimited
from airflow_provider_toggl.core.streams import get_stream
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_target, resolve_keep_history

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_toggl.core.pull import PullRequest, Summary

#: Tasks that wait for the same reset come back within this many seconds of each other, not all at once.
SPREAD_SECONDS = 2.0


class TogglToSqlOperator(BaseOperator):
    """Land one stream of a Toggl workspace in a table, page by page, within the hourly quota.

    The first run reads the whole history, each later one what changed since. Every page is one transaction of rows and
    progress, so a run that dies goes on from the next page. When the quota is used up the task defers until it resets,
    holding no worker
    slot. The same run twice changes nothing.

    :param stream: ``time_entries`` (all users), ``projects``, ``clients``, ``tags``, ``tasks``, ``users``,
        ``project_users`` or
        ``groups``.
    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param warehouse_conn_id: where rows land. (templated)
    :param schema: schema of the tables. (templated)
    :param since: first day of the history (``2024-01-01``, of the token owner's zone), or a moment with its zone.
        Without it
        the first run goes back until a year has no entries. Only for time entries. (templated)
    :param until: last day, with ``incremental=False``. (templated)
    :param incremental: False reads the given days, or the whole list, again and moves no watermark.
    :param page_size: entries to ask for in a page; Toggl may give fewer.
    :param report_lag: seconds that a change may take to show in reports; ``[toggl] report_lag`` by default (300).
    :param windows_per_run: years of history that a run looks through for changes; longer histories take turns.
    :param absent_share: a complete list that lacks more than this share of the known rows (and more than
        ``absent_rows``)
        fails the task instead of marking them absent.
    :param absent_rows: so many rows may be gone at once whatever their share.
    :param facts_timezone: zone of the local dates in view ``time_entry_facts`` (UTC until one is set). (templated)
    :param keep_history: True keeps each version of a time entry that is seen from now on, for the view
        ``time_entry_changes``; False stops that, for all who land in this warehouse. Without it, it stays as it is,
        unless ``[toggl] keep_history`` is set.
    :param deferrable: False fails with ``QuotaExhausted`` instead of deferring.
    """

    template_fields: Sequence[str] = (
        "toggl_conn_id",
        "workspace_id",
        "warehouse_conn_id",
        "schema",
        "since",
        "until",
        "facts_timezone",
    )
    ui_color = "#f5e1f0"

    def __init__(
        self,
        *,
        stream: str,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        warehouse_conn_id: str = DEFAULT_CONN_ID,
        schema: str = "toggl",
        since: str | date | datetime | None = None,
        until: str | date | datetime | None = None,
        incremental: bool = True,
        page_size: int = 1000,
        report_lag: float | None = None,
        windows_per_run: int = 3,
        absent_share: float = 0.2,
        absent_rows: int = 20,
        facts_timezone: str | None = None,
        keep_history: bool | None = None,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        get_stream(stream)
        self.stream = stream
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.since = since
        self.until = until
        self.incremental = incremental
        self.page_size = page_size
        self.report_lag = report_lag
        self.windows_per_run = windows_per_run
        self.absent_share = absent_share
        self.absent_rows = absent_rows
        self.facts_timezone = facts_timezone
        self.keep_history = keep_history
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Read and land until the stream is up to date; return the summary."""
        return self._pull(_run_started(context), None)

    def resume(
        self,
        context: Context,
        event: Any = None,
        *,
        run_started: str | None = None,
        summary: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Go on after a wait for the quota, from the page after the last one that was landed.

        ``airflow dags test`` loses what a task leaves for itself when it defers: then the counts begin anew.
        """
        from airflow_provider_toggl.core.pull import Summary  # noqa: PLC0415 - who only parses a DAG runs nothing

        started = datetime.fromisoformat(run_started) if run_started else _run_started(context)
        return self._pull(started, Summary(**summary) if summary else None)

    def _pull(self, run_started: datetime, earlier: Summary | None) -> dict[str, Any]:
        from airflow_provider_toggl.core.pull import Pull  # noqa: PLC0415 - who only parses a DAG runs nothing

        stop: QuotaExhausted | RateLimited
        hook = TogglHook(self.toggl_conn_id)
        request = self._request(hook, run_started)
        with open_target(
            self.warehouse_conn_id,
            schema=self.schema,
            facts_timezone=self.facts_timezone,
            keep_history=resolve_keep_history(self.keep_history),
        ) as target:
            pull = Pull(hook.get_conn(), target, request, summary=earlier)
            try:
                return pull.run().as_dict()
            except QuotaExhausted as error:
                stop, until = error, error.resets_at
            except RateLimited as error:
                stop, until = error, error.retry_at
            except PlanLacksFeature as error:
                if self.stream == "time_entries":
                    raise
                raise AirflowSkipException(f"{self.stream} is not part of the workspace's plan. {error}") from None
        return self._defer_until(until, stop, run_started, pull.summary)

    def _request(self, hook: TogglHook, run_started: datetime) -> PullRequest:
        from airflow_provider_toggl.core.pull import PullRequest  # noqa: PLC0415 - who only parses a DAG runs nothing

        lag = self.report_lag if self.report_lag is not None else float(conf.get("toggl", "report_lag", fallback="300"))
        return PullRequest(
            stream=self.stream,
            workspace_id=hook.get_workspace_id(self.workspace_id),
            run_started=run_started,
            since=self.since or None,
            until=self.until or None,
            incremental=self.incremental,
            page_size=self.page_size,
            lag=timedelta(seconds=lag),
            windows_per_run=self.windows_per_run,
            absent_share=self.absent_share,
            absent_rows=self.absent_rows,
        )

    def _defer_until(
        self, until: datetime, stop: QuotaExhausted | RateLimited, run_started: datetime, summary: Summary
    ) -> NoReturn:
        if not self.deferrable:
            raise stop
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # noqa: PLC0415 - few tasks wait

        summary.deferrals += 1
        spread = random.uniform(0.0, SPREAD_SECONDS)  # noqa: S311 - spreads load, guards nothing
        moment = until + timedelta(seconds=spread)
        self.log.info(
            "%s The task goes on at %s and holds no worker slot until then. So far: %s", stop, moment, summary
        )
        self.defer(
            trigger=DateTimeTrigger(moment=moment),
            method_name="resume",
            kwargs={"run_started": run_started.isoformat(), "summary": summary.as_dict()},
        )
        raise ConfigurationError("The task could not be deferred.")


def _run_started(context: Context) -> datetime:
    """Return when the DAG run started: the same for every try, so that a retry does not read again what is done."""
    run = context.get("dag_run")
    started = getattr(run, "start_date", None)
    return started if isinstance(started, datetime) else datetime.now(timezone.utc)
