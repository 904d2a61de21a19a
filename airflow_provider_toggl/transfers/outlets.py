"""The asset events of a loading task: which days and entities of a workspace changed.

The warehouse keeps the changed days: each load records them in its own transaction, and each asset has an offset in
them. So what a task loaded before it deferred or failed is reported by the next task that succeeds. Without a change,
there is no asset event.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.assets import ALL_EVENTS, DAYS
from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_conn_id,
    parse_flag,
    parse_id,
    parse_text,
    parse_time_zone,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.task_context import find_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_toggl.core.load.engines.contract import Session
    from airflow_provider_toggl.core.load.merging.changed_days import DayOffset, PendingDays
    from airflow_provider_toggl.core.load.merging.changes import Changes
    from airflow_provider_toggl.core.load.warehouse import Warehouse

#: One run adds at most this many days as partitions; the next runs add the others.
MAX_PARTITIONS = 366

WAREHOUSE_PARSERS: Mapping[str, Parser] = {
    "warehouse_conn_id": parse_conn_id,
    "schema": required(parse_text),
    "facts_timezone": parse_time_zone,
    "keep_history": parse_flag,
    "max_partitions": required(partial(parse_whole, minimum=1)),
}
"""Parsers of the arguments that all loading operators share."""

_ASSET = re.compile(r"toggl://(\d+)/(\w+)/?")
_ENTRIES = "time_entries"
_KEPT = "outlets"
_ALL = 2**31


class Outlets:
    """The outlets of a task that are assets of a Toggl workspace.

    :param task: the task that loads. Outlets without a change are removed from it: Airflow creates an asset event for
        each outlet that a task still has when it ends.
    :param max_partitions: days that are added to ``toggl://{workspace_id}/days`` at once.
    """

    def __init__(self, task: BaseOperator, context: Context, max_partitions: int = MAX_PARTITIONS) -> None:
        self._task = task
        self._context = context
        self._max_partitions = max_partitions
        # Without Airflow there are no accessors: then nothing is reported, and the next task run reports it.
        self._assets = list(_assets_of(task)) if "outlet_events" in context else []
        self._begin = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._assets)

    def begin(self, target: Warehouse, changes: Changes, progress: Mapping[str, Any] | None = None) -> None:
        """Record the offset of the changed days before loading, or restore what was kept before a wait.

        :param progress: what the task kept when it deferred.
        """
        if progress and _KEPT in progress:
            kept = progress[_KEPT]
            self._begin = kept["begin"]
            for workspace_id, reported in kept["reported"].items():
                changes.restore(int(workspace_id), reported)
        elif self:
            from airflow_provider_toggl.core.load.merging.changed_days import last_seq  # noqa: PLC0415 - only loading needs it

            with target.transaction() as session:
                self._begin = last_seq(session)
            target.release(force=True)

    def keep(self, changes: Changes, progress: dict[str, Any]) -> None:
        """Keep what is unknown after a wait in the progress; changed days are in the warehouse."""
        reported = {str(workspace_id): changes.report(workspace_id, _ENTRIES) for _, workspace_id, _ in self._assets}
        for one in reported.values():
            one.pop("days")
        if self:
            progress[_KEPT] = {"begin": self._begin, "reported": reported}

    def report(self, target: Warehouse, changes: Changes) -> None:
        """Fill in the asset event of each outlet with its unreported changes, and record them as reported."""
        for asset, workspace_id, stream in self._assets:
            if stream == DAYS:
                is_reported = self._report_days(target, asset, workspace_id)
            elif stream == ALL_EVENTS:
                is_reported = self._report_everything(target, asset, workspace_id, changes)
            elif stream == _ENTRIES:
                extra = self._entries(target, asset, workspace_id, changes)
                is_reported = self._put(asset, extra)
            else:
                reported = changes.report(workspace_id, stream) if changes.has_changed(workspace_id, stream) else None
                is_reported = self._put(asset, reported)
            if not is_reported:
                self._task.log.info("%s has no changes, so there is no asset event for it.", asset.uri)
                self._task.outlets = [outlet for outlet in self._task.outlets if outlet is not asset]
        target.release(force=True)

    def _report_days(self, target: Warehouse, asset: Any, workspace_id: int) -> bool:
        untold = self._take(target, asset.uri, workspace_id, self._max_partitions, lambda _, found: found)
        if not untold.days:
            return False
        names = sorted(day.isoformat() for day in untold.days)
        event: Any = self._context["outlet_events"][asset]
        # Airflow copies the extra to each partition, so it must be small.
        event.extra.update({"count": len(names), "left": untold.left, "cursor": untold.offset.seq})
        if hasattr(event, "add_partitions"):
            event.add_partitions(names)
        else:
            event.extra["days"] = names
        if untold.left:
            self._task.log.info(
                "%s added to %s; %d left for the next runs.", plural(len(names), "changed day"), asset.uri, untold.left
            )
        return True

    def _report_everything(self, target: Warehouse, asset: Any, workspace_id: int, changes: Changes) -> bool:
        streams = changes.report_by_stream(workspace_id)
        streams.pop(_ENTRIES, None)
        entries = self._entries(target, asset, workspace_id, changes)
        if entries:
            streams[_ENTRIES] = entries
        return self._put(asset, {"streams": streams} if streams else None)

    def _entries(self, target: Warehouse, asset: Any, workspace_id: int, changes: Changes) -> dict[str, Any] | None:
        def extra_of(place: DayOffset, untold: PendingDays) -> dict[str, Any] | None:
            if not untold.days and not changes.has_changed(workspace_id, _ENTRIES):
                return None
            reported = changes.report(workspace_id, _ENTRIES)
            known = sorted(day.isoformat() for day in untold.days)
            most = known[-MAX_PARTITIONS:]
            # Of changes that other runs, or earlier parts of this one, loaded only the days are known here.
            is_whole = place.seq >= self._begin and len(most) == len(known)
            return {
                **reported,
                "days": most,
                "is_complete": reported["is_complete"] and is_whole,
                "since": place.seq,
                "cursor": untold.offset.seq,
            }

        extra: dict[str, Any] | None = self._take(target, asset.uri, workspace_id, _ALL, extra_of)
        return extra

    def _take(
        self,
        target: Warehouse,
        reader: str,
        workspace_id: int,
        limit: int,
        use: Callable[[DayOffset, PendingDays], Any],
    ) -> Any:
        from airflow_provider_toggl.core.load.merging import changed_days  # noqa: PLC0415 - only loading needs it

        run = _name_of_run(self._context)

        def take(session: Session) -> Any:
            place = changed_days.find_offset(session, reader).of_try(run)
            untold = changed_days.find_pending_days(session, place, workspace_id, limit)
            if untold.days:
                reported = replace(untold.offset, run=run, before=(place.seq, place.day))
                changed_days.store_offset(session, reader, reported, datetime.now(timezone.utc))
            return use(place, untold)

        return target.run_transaction(take)

    def _put(self, asset: Any, extra: dict[str, Any] | None) -> bool:
        if extra is not None:
            event: Any = self._context["outlet_events"][asset]
            event.extra.update(extra)
        return extra is not None

    def check_workspace(self, workspace_id: int, source: str, *, is_shared: bool = False) -> None:
        """Refuse outlets of a workspace that is not loaded: they would never get an asset event.

        A mapped task has the outlets of all its workspaces, and a shared event store may have events of further ones.
        Then one outlet of the workspace is enough.

        :param workspace_id: the workspace that is loaded.
        :param source: what names it, for the error.
        :param is_shared: the events of a shared store are loaded.
        :raises ConfigurationError: an outlet is of another workspace.
        """
        task = find_task(self._context)
        any_matches = is_shared or (task is not None and task.is_mapped)
        _check(self._assets, workspace_id, source, any_matches=any_matches)


def workspace_source(workspace_id: Any, toggl_conn_id: str) -> str:
    """Return what names the workspace of a task: its own argument or its connection."""
    return f"of connection {toggl_conn_id!r}" if parse_id("workspace_id", workspace_id) is None else "workspace_id"


def check_outlets(task: BaseOperator, parameter: str, workspace_id: Any) -> None:
    """Refuse outlets of another workspace than the task's, where that is known when the DAG is parsed.

    :param parameter: the parameter that names the workspace.
    :param workspace_id: its value; a template is checked when the task runs.
    :raises ConfigurationError: an outlet is of another workspace.
    """
    text = str(workspace_id).strip()
    if text.isascii() and text.isdigit():
        _check(list(_assets_of(task)), int(text), f"{parameter} of task {task.task_id!r}", any_matches=False)


def _check(assets: list[Any], workspace_id: int, source: str, *, any_matches: bool) -> None:
    others = [asset.uri for asset, workspace, _ in assets if workspace != workspace_id]
    if not others or (any_matches and len(others) < len(assets)):
        return
    raise ConfigurationError(
        f"Workspace {workspace_id} is loaded ({source}), but the outlets have {', '.join(others)} of another one. DAGs "
        f"on it would never start. Build outlets with toggl_asset({workspace_id}, ...), or set the task's workspace_id "
        "to that of its outlets."
    )


def _assets_of(task: BaseOperator) -> Any:
    """Yield the outlets that are Toggl assets, each with its workspace and stream."""
    for outlet in task.outlets or ():
        match = _ASSET.fullmatch(getattr(outlet, "uri", ""))
        if match:
            yield outlet, int(match[1]), match[2]


def _name_of_run(context: Context) -> str | None:
    """Return a name that all tries of one task run share."""
    task = find_task(context)
    return None if task is None else f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
