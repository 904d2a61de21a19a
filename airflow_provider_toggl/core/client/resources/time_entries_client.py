"""Tracking time in one workspace as the token's owner: create, start, stop and update, each safe to ask for twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.client.idempotency import WriteResult, write_once
from airflow_provider_toggl.core.client.resources.time_entries import (
    CLOCK_SKEW,
    ExistingTimeEntry,
    TimeEntrySpec,
    find_matches,
)
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.verification import check_applied
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, NotApplied, NotFound, PayloadRefused
from airflow_provider_toggl.core.instants import format_instant

log = logging.getLogger(__name__)

#: Days back that /me/time_entries takes a start_date of; observed at about three months.
MAX_START_AGE = timedelta(days=80)


#: Told whether there is doubt from now on, and which entry was made while there was.
NoteOfEntry = Callable[[bool, "int | None"], None]


def keep_no_note(doubt: bool, made: int | None) -> None:
    """Remember nothing: for who does not outlive the process."""


class TimeEntriesClient:
    """The time entries of the token's owner in a workspace.

    Others' entries are not looked up here: only reports have those, and reports lag behind.
    """

    def __init__(self, session: TogglSession, workspace_id: int, *, clock: Clock | None = None) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        """Return the time, in UTC, cut to whole seconds."""
        return utc(self._clock.now()).replace(microsecond=0)

    def create(
        self,
        wanted: TimeEntrySpec,
        *,
        in_doubt: bool,
        sent_after: datetime,
        made: int | None = None,
        note: NoteOfEntry = keep_no_note,
    ) -> WriteResult[ExistingTimeEntry]:
        """Create a time entry, or start one where it has no stop; Toggl stops the one that runs then.

        :param in_doubt: an earlier try may have sent it; it is looked up first.
        :param sent_after: no try sent it before that.
        :param made: the entry that an earlier try noted to have made.
        :raises NotApplied: Toggl made an entry that is not as wanted; a next try does not make another one.
        :raises OutcomeUnknown: as :func:`~airflow_provider_toggl.core.client.idempotency.write_once`; the others too.
        """
        if made is not None:
            found = self._find_all(wanted, sent_after)
            ours = next((one for one in found if one.entry_id == made), None)
            if ours is not None:
                settled = self._settle(wanted, ours, found)
                note(False, None)
                return settled
            self._check_made(made, wanted)

        def settle(ours: ExistingTimeEntry) -> WriteResult[ExistingTimeEntry]:
            # Where this does not come to its end, the next try must know which of two it may take back.
            note(True, ours.entry_id)
            return self._settle(wanted, ours, self._find_all(wanted, sent_after))

        try:
            return write_once(
                lambda: self._post(wanted),
                lambda: self._find(wanted, sent_after),
                in_doubt=in_doubt,
                note=lambda doubt: note(doubt, None),
                settle=settle,
                clock=self._clock,
            )
        except NotApplied as error:
            # The next try must not make another one.
            note(True, error.entity_id)
            raise

    def find_running(self) -> ExistingTimeEntry | None:
        """Return the entry that runs, in whichever workspace; None where none does."""
        try:
            row = self.session.request("GET", "/api/v9/me/time_entries/current").json()
        except NotFound:
            # So documented; observed is null.
            return None
        return None if row is None else ExistingTimeEntry.from_http(row)

    def stop(self, entry_id: int) -> tuple[ExistingTimeEntry, bool]:
        """Stop an entry; return it, and whether this stopped it or it was stopped already.

        Toggl refuses to stop what is stopped (409), so a repeated request moves no stop.

        :raises NotFound: there is no such entry.
        :raises NotApplied: Toggl answered that it was stopped, and it runs.
        """
        try:
            answer = self.session.request("PATCH", f"{self._path(entry_id)}/stop", idempotent=True)
        except PayloadRefused as error:
            if error.status != 409:
                raise
            entry, stopped = self.get(entry_id), False
        else:
            (_, entry), stopped = self._changed(entry_id, answer), True
        if entry.is_running:
            raise NotApplied(f"Toggl answered that time entry {entry_id} was stopped, and it runs. Stop it again.")
        return entry, stopped

    def update(self, entry_id: int, changes: dict[str, Any]) -> ExistingTimeEntry:
        """Set fields of an entry; the same ones twice are the same as once.

        :raises NotFound: there is no such entry.
        :raises NotApplied: Toggl answered that it was done, and a field is not as it was to be.
        """
        payload = {"workspace_id": self.workspace_id, **changes}
        answer = self.session.request("PUT", self._path(entry_id), payload=payload, idempotent=True)
        row, entry = self._changed(entry_id, answer)
        check_applied(f"Updating time entry {entry_id}", {"id": entry_id, **payload}, row)
        return entry

    def get(self, entry_id: int) -> ExistingTimeEntry:
        """Return an entry of the token's owner."""
        return ExistingTimeEntry.from_http(self._get_row(entry_id))

    def _get_row(self, entry_id: int) -> Any:
        return self.session.request("GET", f"/api/v9/me/time_entries/{entry_id}").json()

    def _changed(self, entry_id: int, answer: TogglResponse) -> tuple[Any, ExistingTimeEntry]:
        """Return a changed entry, which is asked for where the answer does not have it."""
        try:
            row = answer.json()
            entry = ExistingTimeEntry.from_http(row)
        except MalformedAnswer as error:
            log.info("%s The time entry is asked for.", error)
        else:
            if entry.entry_id == entry_id:
                return row, entry
            log.info("Toggl answered with time entry %d. Number %d is asked for.", entry.entry_id, entry_id)
        row = self._get_row(entry_id)
        return row, ExistingTimeEntry.from_http(row)

    def _check_made(self, entry_id: int, wanted: TimeEntrySpec) -> None:
        """Return when an entry that an earlier try made is gone.

        :raises NotApplied: it is there, and is not as it was wanted.
        """
        try:
            row = self._get_row(entry_id)
        except NotFound:
            return
        if isinstance(row, dict) and not row.get("server_deleted_at"):
            self._check(wanted, row)

    def _check(self, wanted: TimeEntrySpec, row: dict[str, Any]) -> ExistingTimeEntry:
        entry = ExistingTimeEntry.from_http(row)
        asked = {name: value for name, value in wanted.payload().items() if name != "start" or not wanted.earliest}
        try:
            check_applied(f"Creating time entry {entry.entry_id}", asked, row)
        except NotApplied as error:
            error.entity_id = entry.entry_id
            raise
        return entry

    def _post(self, wanted: TimeEntrySpec) -> ExistingTimeEntry:
        path = f"/api/v9/workspaces/{self.workspace_id}/time_entries"
        return self._check(
            wanted, self.session.request("POST", path, payload=wanted.payload(), idempotent=False).json()
        )

    def _find(self, wanted: TimeEntrySpec, sent_after: datetime) -> ExistingTimeEntry | None:
        found = self._find_all(wanted, sent_after)
        if len(found) > 1:
            log.warning(
                "Time entries %s all are as the wanted one; %d is taken for it.",
                ", ".join(str(one.entry_id) for one in found),
                found[0].entry_id,
            )
        return found[0] if found else None

    def _find_all(self, wanted: TimeEntrySpec, sent_after: datetime) -> list[ExistingTimeEntry]:
        first, last = wanted.span
        params: dict[str, Any]
        if self.now() - first < MAX_START_AGE:
            # Whether either end is in the range is not documented.
            margin = timedelta(seconds=1)
            params = {"start_date": format_instant(first - margin), "end_date": format_instant(last + margin)}
        else:
            params = {"since": int(max(sent_after - CLOCK_SKEW, self.now() - MAX_START_AGE).timestamp())}
        rows = self.session.request("GET", "/api/v9/me/time_entries", params=params).json() or []
        if not isinstance(rows, list):
            raise MalformedAnswer("Toggl's answer is not the list of time entries that was asked for.")
        return find_matches(wanted, rows)

    def _settle(
        self, wanted: TimeEntrySpec, made: ExistingTimeEntry, found: list[ExistingTimeEntry]
    ) -> WriteResult[ExistingTimeEntry]:
        """See whether the request in doubt was carried out late, after the look that did not find it.

        Then there are two. The one that is taken back is the one that is surely ours: its id was in the answer.
        """
        others = [one for one in found if one.entry_id != made.entry_id]
        if not others:
            return WriteResult(made, made=True)
        if wanted.stop is None and not others[0].is_running:
            log.warning(
                "Time entry %d runs; %d is the same but stopped. If nobody else made that, an earlier request was "
                "carried out late: delete it.",
                made.entry_id,
                others[0].entry_id,
            )
            return WriteResult(made, made=True)
        log.warning(
            "An earlier request was carried out late and made time entry %d; %d, which is the same, is taken back.",
            others[0].entry_id,
            made.entry_id,
        )
        self._take_back(made.entry_id)
        return WriteResult(others[0], made=False)

    def _take_back(self, entry_id: int) -> None:
        """Delete an entry, and look whether it is gone, since Toggl may answer OK without deleting it.

        :raises NotApplied: it is still there; the next try takes it back.
        """
        try:
            self.session.request("DELETE", self._path(entry_id), idempotent=True)
            row = self._get_row(entry_id)
        except NotFound:
            return
        if isinstance(row, dict) and row.get("id") == entry_id and not row.get("server_deleted_at"):
            error = NotApplied(
                f"Toggl answered that time entry {entry_id}, which an earlier request had made a second time, was "
                "deleted, and it is still there. Run the task again, or delete it in Toggl."
            )
            error.entity_id = entry_id
            raise error

    def _path(self, entry_id: int) -> str:
        return f"/api/v9/workspaces/{self.workspace_id}/time_entries/{entry_id}"
