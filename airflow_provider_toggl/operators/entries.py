"""Time entries from a DAG: start, stop, create and update, safe to retry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from airflow_provider_toggl.core.arguments import (
    Parser,
    is_blank,
    parse_entry_changes,
    parse_flag,
    parse_free_text,
    parse_id,
    parse_second,
    parse_tags,
    parse_whole_seconds,
    required,
)
from airflow_provider_toggl.core.client.resources.time_entries import (
    CLOCK_SKEW,
    ENTRY_KEYS,
    ExistingTimeEntry,
    TimeEntrySpec,
)
from airflow_provider_toggl.core.client.resources.time_entries_client import TimeEntriesClient
from airflow_provider_toggl.core.errors import ConfigurationError, NotFound, OutcomeUnknown
from airflow_provider_toggl.core.instants import format_instant
from airflow_provider_toggl.operators.write_operator import TogglWriteOperator


class _EntryOperator(TogglWriteOperator):
    """Of the token's owner's time entries in a workspace."""

    def tracking(self) -> TimeEntriesClient:
        """Return what tracks time in the workspace."""
        return TimeEntriesClient(*self.open_workspace())

    def told(self, action: str, entry: ExistingTimeEntry | None, tracking: TimeEntriesClient) -> dict[str, Any]:
        """Return what was done, and the entry as it is now; the same keys whatever was done."""
        fields = dict.fromkeys(ENTRY_KEYS) if entry is None else entry.as_dict()
        if entry is not None:
            self.log.info("Time entry %d: %s.", entry.entry_id, action)
        return {"action": action, **fields, "requests": tracking.session.spent}


class _MakingOperator(_EntryOperator):
    """Makes a time entry.

    :param description: what was done. (templated)
    :param project_id: its project, none by default. (templated)
    :param toggl_task_id: Toggl's task of that project. (templated)
    :param tags: names; unknown ones are created by Toggl. One text with commas is several. (templated)
    :param billable: by default what Toggl makes of it. (templated)
    """

    template_fields: Sequence[str] = (
        *TogglWriteOperator.template_fields,
        "start",
        "description",
        "project_id",
        "toggl_task_id",
        "tags",
        "billable",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteOperator.argument_parsers,
        "start": parse_second,
        "description": parse_free_text,
        "project_id": parse_id,
        "toggl_task_id": parse_id,
        "tags": parse_tags,
        "billable": parse_flag,
    }

    def __init__(
        self,
        *,
        start: datetime | str | None = None,
        description: str = "",
        project_id: int | str | None = None,
        toggl_task_id: int | str | None = None,
        tags: str | Sequence[str] = (),
        billable: bool | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.start: Any = start
        self.description: Any = description
        self.project_id: Any = project_id
        self.toggl_task_id: Any = toggl_task_id
        self.tags: Any = tags
        self.billable: Any = billable
        self.check_arguments()

    def wanted(self, workspace_id: int, start: datetime) -> TimeEntrySpec:
        """Return the entry that is to be there, running."""
        return TimeEntrySpec(
            workspace_id=workspace_id,
            start=start,
            description=self.description,
            project_id=self.project_id,
            task_id=self.toggl_task_id,
            tags=self.tags,
            billable=self.billable,
        )

    def make(
        self, tracking: TimeEntriesClient, wanted: TimeEntrySpec, progress: dict[str, Any], word: str
    ) -> dict[str, Any]:
        """Make it, or find that an earlier request did."""
        start, noted = format_instant(wanted.start), self.recall(progress)
        done = tracking.create(
            wanted,
            in_doubt=self.is_retry or bool(noted),
            sent_after=self.sent_after,
            made=noted.get("made"),
            note=lambda doubt, made: self.keep(progress, {"start": start, "made": made} if doubt else None),
        )
        return self.told(word if done.made else "found", done.thing, tracking)


class TogglCreateTimeEntryOperator(_MakingOperator):
    """Create a time entry of the token's owner that has ended; one request.

    Safe to retry: where an earlier request may have made it, an entry of the same workspace, start, stop, description,
    project, task and tags is looked for first, and taken for it.

    :param start: date and time with its zone; parts of a second are cut. (templated)
    :param stop: likewise. (templated)
    :param duration: seconds, instead of ``stop``. (templated)
    """

    template_fields: Sequence[str] = (*_MakingOperator.template_fields, "stop", "duration")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_MakingOperator.argument_parsers,
        "start": required(parse_second),
        "stop": parse_second,
        "duration": parse_whole_seconds,
    }

    def __init__(
        self,
        *,
        start: datetime | str,
        stop: datetime | str | None = None,
        duration: timedelta | int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(start=start, **kwargs)
        self.stop: Any = stop
        self.duration: Any = duration
        self.check_arguments()

    checked_together = frozenset({"start", "stop", "duration"})

    def check_together(self) -> None:
        """Check that there is one end, after the begin."""
        self._stop(
            parse_second("start", self.start),
            parse_second("stop", self.stop),
            parse_whole_seconds("duration", self.duration),
        )

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Create or find it; return ``action`` (``created`` or ``found``) and the entry."""
        stop = self._stop(self.start, self.stop, self.duration)
        tracking = self.tracking()
        wanted = replace(self.wanted(tracking.workspace_id, self.start), stop=stop)
        return self.make(tracking, wanted, progress, "created")

    def _stop(self, start: Any, stop: datetime | None, duration: int | None) -> datetime:
        if (stop is None) == (duration is None):
            raise ConfigurationError("A time entry needs a stop or a duration, and not both.")
        if stop is None:
            try:
                stop = start + timedelta(seconds=duration or 0)
            except OverflowError:
                raise ConfigurationError(f"start is {start}; with its duration it ends in no year.") from None
        if stop < start:
            raise ConfigurationError(f"The time entry would stop at {stop}, before it starts at {start}.")
        return stop


class TogglStartTimeEntryOperator(_MakingOperator):
    """Start a time entry of the token's owner; Toggl stops the one that runs.

    Safe to retry, as :class:`TogglCreateTimeEntryOperator` is: an entry that an earlier try started is taken for it,
    also if it was stopped since.

    :param start: date and time with its zone; by default the moment at which the task first sends it. (templated)
    """

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Start or find it; return ``action`` (``started`` or ``found``) and the entry."""
        tracking = self.tracking()
        noted = self._noted_start(progress)
        start = self.start or noted or tracking.now()
        wanted = self.wanted(tracking.workspace_id, start)
        if self.is_retry and not self.start and not noted:
            # A try on another host, or of an Airflow without a store for notes, chose a start that is not known.
            wanted = replace(wanted, earliest=min(self.started, start))
        return self.make(tracking, wanted, progress, "started")

    def _noted_start(self, progress: dict[str, Any]) -> datetime | None:
        noted = self.recall(progress).get("start")
        start = parse_second("start", noted)
        # A run that had ended and was cleared begins anew, and its timer does not run since then.
        return None if start is None or start < self.started - CLOCK_SKEW else start


class TogglStopTimeEntryOperator(_EntryOperator):
    """Stop a time entry; one that has stopped is as good, and its stop does not move.

    :param time_entry_id: which one, for example of a task that started it; by default the one that runs. A template
        that renders to nothing fails, and does not stop whatever runs. (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteOperator.template_fields, "time_entry_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteOperator.argument_parsers,
        "time_entry_id": parse_id,
    }
    limiting_arguments = frozenset({"time_entry_id"})

    def __init__(self, *, time_entry_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_entry_id: Any = time_entry_id
        if time_entry_id is not None and is_blank(time_entry_id):
            raise ConfigurationError(
                f"time_entry_id is {time_entry_id!r}; it must not be empty. Leave it out to stop what runs."
            )
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Stop it; return it and ``action``: ``stopped``, ``already_stopped``, or ``nothing`` where none runs."""
        tracking = self.tracking()
        if self.time_entry_id is not None:
            return self._stop(tracking, self.time_entry_id)
        number = self.recall(progress).get("time_entry_id") or self._find_running(tracking)
        if number is None:
            return self.told("nothing", None, tracking)
        self.keep(progress, {"time_entry_id": number})
        try:
            result = self._stop(tracking, number)
        except NotFound:
            self.log.info("Time entry %d ran, and was deleted since.", number)
            result = self.told("nothing", None, tracking)
        self.keep(progress, None)
        return result

    def _stop(self, tracking: TimeEntriesClient, number: int) -> dict[str, Any]:
        entry, stopped = tracking.stop(number)
        return self.told("stopped" if stopped else "already_stopped", entry, tracking)

    def _find_running(self, tracking: TimeEntriesClient) -> int | None:
        running = tracking.find_running()
        if running is None or running.workspace_id != tracking.workspace_id:
            return None
        if self.is_retry and running.start > self.started:
            raise OutcomeUnknown(
                f"Time entry {running.entry_id} runs and was started after this DAG run was. An earlier try may "
                "have stopped the one that was meant, so it is not stopped. Give time_entry_id to be sure."
            )
        return running.entry_id


class TogglUpdateTimeEntryOperator(_EntryOperator):
    """Set fields of a time entry; doing it twice is doing it once.

    :param time_entry_id: which one. (templated)
    :param changes: what is to be set, of ``description``, ``start``, ``stop``, ``duration``, ``project_id``,
        ``task_id``, ``tags``, ``tag_ids``, ``tag_action`` (``add`` or ``delete``; without it tags are replaced) and
        ``billable``; None empties a field. (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteOperator.template_fields, "time_entry_id", "changes")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteOperator.argument_parsers,
        "time_entry_id": required(parse_id),
        "changes": parse_entry_changes,
    }

    def __init__(self, *, time_entry_id: int | str, changes: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_entry_id: Any = time_entry_id
        self.changes: Any = changes
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Set them; return ``action`` (``updated``) and the entry."""
        tracking = self.tracking()
        return self.told("updated", tracking.update(self.time_entry_id, self.changes), tracking)
