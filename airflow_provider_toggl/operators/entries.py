"""Operators that start, stop, create and update time entries of the token's owner. They are safe to retry."""

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
from airflow_provider_toggl.operators.write_operator import TogglWriteBase


class _EntryOperator(TogglWriteBase):
    """Base of the operators on time entries."""

    def open_client(self) -> TimeEntriesClient:
        """Return the client for the time entries of the workspace."""
        return TimeEntriesClient(*self.open_workspace())

    def build_result(self, action: str, entry: ExistingTimeEntry | None, client: TimeEntriesClient) -> dict[str, Any]:
        """Return what was done, and the entry as it is now. The keys are always the same."""
        fields = dict.fromkeys(ENTRY_KEYS) if entry is None else entry.as_dict()
        if entry is not None:
            self.log.info("Time entry %d: %s.", entry.entry_id, action)
        return {"action": action, **fields, "requests": client.session.spent}


class _CreatingOperator(_EntryOperator):
    """Base of the operators that create a time entry.

    :param description: its description. (templated)
    :param project_id: its project; by default none. (templated)
    :param toggl_task_id: its task in that project. (templated)
    :param tags: names of tags, also as one text with commas. Toggl creates unknown ones. (templated)
    :param billable: whether it is billable; by default Toggl decides. (templated)
    """

    template_fields: Sequence[str] = (
        *TogglWriteBase.template_fields,
        "start",
        "description",
        "project_id",
        "toggl_task_id",
        "tags",
        "billable",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteBase.argument_parsers,
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

    def build_spec(self, workspace_id: int, start: datetime) -> TimeEntrySpec:
        """Return the entry to create, as a running one."""
        return TimeEntrySpec(
            workspace_id=workspace_id,
            start=start,
            description=self.description,
            project_id=self.project_id,
            task_id=self.toggl_task_id,
            tags=self.tags,
            billable=self.billable,
        )

    def create(
        self, client: TimeEntriesClient, spec: TimeEntrySpec, progress: dict[str, Any], action: str
    ) -> dict[str, Any]:
        """Create the entry, or find the one that an earlier request created."""
        start, sent = format_instant(spec.start), self.find_sent(progress)
        result = client.create(
            spec,
            in_doubt=self.is_retry or bool(sent),
            sent_after=self.sent_after,
            created_id=sent.get("created_id"),
            record_doubt=lambda doubt, created_id: self.record_sent(
                progress, {"start": start, "created_id": created_id} if doubt else None
            ),
        )
        return self.build_result(action if result.created else "found", result.value, client)


class TogglCreateTimeEntryOperator(_CreatingOperator):
    """Create a completed time entry of the token's owner, with one request.

    A retry first looks for an entry that an earlier request may have created: one with the same workspace, start, stop,
    description, project, task and tags.

    :param start: date and time with its zone; fractions of a second are dropped. (templated)
    :param stop: date and time with its zone. (templated)
    :param duration: seconds, instead of ``stop``. (templated)
    """

    template_fields: Sequence[str] = (*_CreatingOperator.template_fields, "stop", "duration")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_CreatingOperator.argument_parsers,
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
        """Check that there is exactly one end, after the start."""
        self._stop(
            parse_second("start", self.start),
            parse_second("stop", self.stop),
            parse_whole_seconds("duration", self.duration),
        )

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Create or find the entry; return ``action`` (``created`` or ``found``) and the entry."""
        stop = self._stop(self.start, self.stop, self.duration)
        client = self.open_client()
        spec = replace(self.build_spec(client.workspace_id, self.start), stop=stop)
        return self.create(client, spec, progress, "created")

    def _stop(self, start: Any, stop: datetime | None, duration: int | None) -> datetime:
        if (stop is None) == (duration is None):
            raise ConfigurationError("A time entry needs a stop or a duration, and not both.")
        if stop is None:
            try:
                stop = start + timedelta(seconds=duration or 0)
            except OverflowError:
                raise ConfigurationError(f"start is {start}; the entry would end after the year 9999.") from None
        if stop < start:
            raise ConfigurationError(f"The time entry would stop at {stop}, before it starts at {start}.")
        return stop


class TogglStartTimeEntryOperator(_CreatingOperator):
    """Start a time entry of the token's owner. Toggl stops the running one.

    A retry first looks for an entry that an earlier try started, as :class:`TogglCreateTimeEntryOperator` does. It may
    have been stopped since.

    :param start: date and time with its zone; by default the time of the first request. (templated)
    """

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Start or find the entry; return ``action`` (``started`` or ``found``) and the entry."""
        client = self.open_client()
        sent = self._sent_start(progress)
        start = self.start or sent or client.now()
        spec = self.build_spec(client.workspace_id, start)
        if self.is_retry and not self.start and not sent:
            # An earlier try chose a start that is unknown here: it ran on another host, and Airflow has no state store.
            spec = replace(spec, earliest=min(self.started, start))
        return self.create(client, spec, progress, "started")

    def _sent_start(self, progress: dict[str, Any]) -> datetime | None:
        sent = self.find_sent(progress).get("start")
        start = parse_second("start", sent)
        # The start of a run that had ended and was cleared does not count for the new one.
        return None if start is None or start < self.started - CLOCK_SKEW else start


class TogglStopTimeEntryOperator(_EntryOperator):
    """Stop a time entry. An entry that is stopped already is not changed.

    :param time_entry_id: ID of the entry, for example from the task that started it; by default the running one. If a
        template renders to nothing, the task fails and stops nothing. (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteBase.template_fields, "time_entry_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteBase.argument_parsers,
        "time_entry_id": parse_id,
    }
    limiting_arguments = frozenset({"time_entry_id"})

    def __init__(self, *, time_entry_id: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_entry_id: Any = time_entry_id
        if time_entry_id is not None and is_blank(time_entry_id):
            raise ConfigurationError(
                f"time_entry_id is {time_entry_id!r}; it must not be empty. Leave it out to stop the running entry."
            )
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Stop the entry; return it and ``action``: ``stopped``, ``already_stopped``, or ``nothing`` if none runs."""
        client = self.open_client()
        if self.time_entry_id is not None:
            return self._stop(client, self.time_entry_id)
        number = self.find_sent(progress).get("time_entry_id") or self._find_running(client)
        if number is None:
            return self.build_result("nothing", None, client)
        self.record_sent(progress, {"time_entry_id": number})
        try:
            result = self._stop(client, number)
        except NotFound:
            self.log.info("Time entry %d was running, and has been deleted since.", number)
            result = self.build_result("nothing", None, client)
        self.record_sent(progress, None)
        return result

    def _stop(self, client: TimeEntriesClient, number: int) -> dict[str, Any]:
        entry, stopped = client.stop(number)
        return self.build_result("stopped" if stopped else "already_stopped", entry, client)

    def _find_running(self, client: TimeEntriesClient) -> int | None:
        running = client.find_running()
        if running is None or running.workspace_id != client.workspace_id:
            return None
        if self.is_retry and running.start > self.started:
            raise OutcomeUnknown(
                f"Time entry {running.entry_id} was started after this DAG run, and an earlier try may have stopped "
                "the entry that was running then. So it is not stopped. Set time_entry_id to be sure."
            )
        return running.entry_id


class TogglUpdateTimeEntryOperator(_EntryOperator):
    """Set fields of a time entry.

    :param time_entry_id: ID of the entry. (templated)
    :param changes: new values of ``description``, ``start``, ``stop``, ``duration``, ``project_id``, ``task_id``,
        ``tags``, ``tag_ids``, ``tag_action`` (``add`` or ``delete``; without it tags are replaced) and ``billable``.
        None clears a field. (templated)
    """

    template_fields: Sequence[str] = (*TogglWriteBase.template_fields, "time_entry_id", "changes")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **TogglWriteBase.argument_parsers,
        "time_entry_id": required(parse_id),
        "changes": parse_entry_changes,
    }

    def __init__(self, *, time_entry_id: int | str, changes: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.time_entry_id: Any = time_entry_id
        self.changes: Any = changes
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Set the fields; return ``action`` (``updated``) and the entry."""
        client = self.open_client()
        return self.build_result("updated", client.update(self.time_entry_id, self.changes), client)
