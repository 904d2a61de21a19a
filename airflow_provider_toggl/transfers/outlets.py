"""What a landing tells the outlets of its task: which days and entities of a workspace changed.

The days come from the warehouse, where each landing notes them in its own transaction, and each asset has a place in
them. So what a task landed before it deferred, or before it died, is told by the next one that ends well. When
nothing changed there is no asset event.
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
    parse_day,
    parse_flag,
    parse_id,
    parse_number,
    parse_seconds,
    parse_text,
    parse_time_zone,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.merging import changed_days
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.task_context import find_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_toggl.core.load.merging.changes import Changes
    from airflow_provider_toggl.core.load.warehouse import Warehouse

#: A landing tells so many days as partitions at most; the rest is for the landings after it.
MOST_PARTITIONS = 366

WAREHOUSE_PARSERS: Mapping[str, Parser] = {
    "warehouse_conn_id": parse_conn_id,
    "schema": required(parse_text),
    "facts_timezone": parse_time_zone,
    "keep_history": parse_flag,
    "max_partitions": required(partial(parse_whole, minimum=1)),
}
"""How the parameters that all landing operators share are parsed."""

PULL_PARSERS: Mapping[str, Parser] = {
    "since": parse_day,
    "until": parse_day,
    "page_size": required(partial(parse_whole, minimum=1, maximum=10_000)),
    "report_lag": parse_seconds,
    "absent_share": required(partial(parse_number, minimum=0.0, maximum=1.0)),
    "absent_rows": required(partial(parse_whole, minimum=0)),
}
"""How the parameters that all operators share are parsed that read time entries."""

_ASSET = re.compile(r"toggl://(\d+)/(\w+)/?")
_ENTRIES = "time_entries"
_KEPT = "outlets"
_ALL = 2**31


class Outlets:
    """The outlets of a task that stand for something of a Toggl workspace.

    :param task: the task that lands. Outlets that have nothing to tell are taken off it, which Airflow reads when the
        task has ended: an outlet that stays gets an asset event, whatever happened.
    :param max_partitions: tell so many days of ``toggl://{workspace_id}/days`` at once.
    """

    def __init__(self, task: BaseOperator, context: Context, max_partitions: int = MOST_PARTITIONS) -> None:
        self._task = task
        self._context = context
        self._max_partitions = max_partitions
        # Who executes an operator by hand gives no accessors: then nobody is told, and the next task run tells it.
        self._assets = list(_assets_of(task)) if "outlet_events" in context else []
        self._begin = 0

    def __bool__(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._assets)

    def begin(self, target: Warehouse, changes: Changes, progress: Mapping[str, Any] | None = None) -> None:
        """Take note of where the days are before the landing, and of what its part before a wait kept.

        :param progress: what the task kept when it began to wait.
        """
        if progress and _KEPT in progress:
            kept = progress[_KEPT]
            self._begin = kept["begin"]
            for workspace_id, told in kept["told"].items():
                changes.restore(int(workspace_id), told)
        elif self:
            with target.transaction() as session:
                self._begin = changed_days.last_seq(session)
            target.release(force=True)

    def keep(self, changes: Changes, progress: dict[str, Any]) -> None:
        """Put into a progress what the part after a wait cannot know; days are in the warehouse."""
        told = {str(workspace_id): changes.report(workspace_id, _ENTRIES) for _, workspace_id, _ in self._assets}
        for one in told.values():
            one.pop("days")
        if self:
            progress[_KEPT] = {"begin": self._begin, "told": told}

    def tell(self, target: Warehouse, changes: Changes) -> None:
        """Tell each outlet what it does not know yet, and note in the warehouse that it was told."""
        for asset, workspace_id, stream in self._assets:
            if stream == DAYS:
                is_told = self._tell_days(target, asset, workspace_id)
            elif stream == ALL_EVENTS:
                is_told = self._tell_everything(target, asset, workspace_id, changes)
            elif stream == _ENTRIES:
                extra = self._entries(target, asset, workspace_id, changes)
                is_told = self._put(asset, extra)
            else:
                told = changes.report(workspace_id, stream) if changes.has_changed(workspace_id, stream) else None
                is_told = self._put(asset, told)
            if not is_told:
                self._task.log.info("Nothing of %s has changed: there is no event of it.", asset.uri)
                self._task.outlets = [outlet for outlet in self._task.outlets if outlet is not asset]
        target.release(force=True)

    def _tell_days(self, target: Warehouse, asset: Any, workspace_id: int) -> bool:
        untold = self._take(target, asset.uri, workspace_id, self._max_partitions, lambda _, found: found)
        if not untold.days:
            return False
        names = sorted(day.isoformat() for day in untold.days)
        event: Any = self._context["outlet_events"][asset]
        # Airflow gives a copy of the extra to each partition: it must be small.
        event.extra.update({"count": len(names), "left": untold.left, "cursor": untold.offset.seq})
        if hasattr(event, "add_partitions"):
            event.add_partitions(names)
        else:
            event.extra["days"] = names
        if untold.left:
            self._task.log.info(
                "%s added to %s; left for the next runs: %d.", plural(len(names), "changed day"), asset.uri, untold.left
            )
        return True

    def _tell_everything(self, target: Warehouse, asset: Any, workspace_id: int, changes: Changes) -> bool:
        streams = changes.report_by_stream(workspace_id)
        streams.pop(_ENTRIES, None)
        entries = self._entries(target, asset, workspace_id, changes)
        if entries:
            streams[_ENTRIES] = entries
        return self._put(asset, {"streams": streams} if streams else None)

    def _entries(self, target: Warehouse, asset: Any, workspace_id: int, changes: Changes) -> dict[str, Any] | None:
        def extra_of(place: changed_days.DayOffset, untold: changed_days.PendingDays) -> dict[str, Any] | None:
            if not untold.days and not changes.has_changed(workspace_id, _ENTRIES):
                return None
            told = changes.report(workspace_id, _ENTRIES)
            known = sorted(day.isoformat() for day in untold.days)
            most = known[-MOST_PARTITIONS:]
            # What an earlier part of this landing, or another one, has changed is known here by its days only.
            is_whole = place.seq >= self._begin and len(most) == len(known)
            return {
                **told,
                "days": most,
                "is_complete": told["is_complete"] and is_whole,
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
        use: Callable[[changed_days.DayOffset, changed_days.PendingDays], Any],
    ) -> Any:
        run = _name_of_run(self._context)
        with target.transaction() as session:
            place = changed_days.find_offset(session, reader).of_try(run)
            untold = changed_days.find_pending_days(session, place, workspace_id, limit)
            if untold.days:
                told = replace(untold.offset, run=run, before=(place.seq, place.day))
                changed_days.store_offset(session, reader, told, datetime.now(timezone.utc))
            return use(place, untold)

    def _put(self, asset: Any, extra: dict[str, Any] | None) -> bool:
        if extra is not None:
            event: Any = self._context["outlet_events"][asset]
            event.extra.update(extra)
        return extra is not None

    def check_workspace(self, workspace_id: int, source: str) -> None:
        """Refuse outlets of another workspace than is loaded: nothing that is loaded would ever be told to them.

        A mapped task has the outlets of all its workspaces, so one of them is enough there.

        :param workspace_id: the workspace that is loaded.
        :param source: where it is from, for the message.
        :raises ConfigurationError: an outlet is of another workspace.
        """
        task = find_task(self._context)
        _check(self._assets, workspace_id, source, any_matches=task is not None and task.is_mapped)

    def check_shared(self, workspace_id: int, source: str) -> None:
        """Refuse outlets none of which is of a connection's workspace.

        Its event store may have events of further workspaces, whose outlets may stand beside its own.

        :param workspace_id: the workspace of the connection.
        :param source: where it is from, for the message.
        :raises ConfigurationError: no outlet is of it.
        """
        _check(self._assets, workspace_id, source, any_matches=True)


def workspace_source(workspace_id: Any, toggl_conn_id: str) -> str:
    """Return where the workspace that a task loads is from: its own parameter or its connection."""
    return f"of connection {toggl_conn_id!r}" if parse_id("workspace_id", workspace_id) is None else "workspace_id"


def check_outlets(task: BaseOperator, parameter: str, workspace_id: Any) -> None:
    """Refuse outlets of another workspace than a task names, where that is known when the DAG is parsed.

    :param parameter: the parameter that names the workspace.
    :param workspace_id: its value; a template is looked at when the task runs.
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
        f"Workspace {workspace_id} is loaded ({source}), but {', '.join(others)} in the outlets is of another: DAGs on "
        f"it would never start. Build outlets with toggl_asset({workspace_id}, ...), or give the task the workspace_id "
        "of its outlets."
    )


def _assets_of(task: BaseOperator) -> Any:
    """Yield outlets that are of Toggl, each with workspace and stream."""
    for outlet in task.outlets or ():
        match = _ASSET.fullmatch(getattr(outlet, "uri", ""))
        if match:
            yield outlet, int(match[1]), match[2]


def _name_of_run(context: Context) -> str | None:
    """Return what the tries of one run of a task have in common."""
    task = find_task(context)
    return None if task is None else f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}"
