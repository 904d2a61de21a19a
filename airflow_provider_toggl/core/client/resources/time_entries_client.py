"""Client for the time entries of the token's owner: create, start, stop and update.

A repeated create needs what the earlier try recorded, and then makes no second entry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.client.applied_writes import check_applied
from airflow_provider_toggl.core.client.idempotency import WriteResult, write_once
from airflow_provider_toggl.core.client.resources.time_entries import (
    CLOCK_SKEW,
    ExistingTimeEntry,
    TimeEntrySpec,
    find_matches,
)
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import MalformedAnswer, NotApplied, NotFound, PayloadRefused
from airflow_provider_toggl.core.instants import format_instant

log = logging.getLogger(__name__)

#: ``/me/time_entries`` accepts a ``start_date`` of about three months ago, as observed. This is less.
MAX_START_AGE = timedelta(days=80)


#: ``record(in_doubt, created_id)``: remember whether the request may have been carried out, and which entry it created.
RecordEntryDoubt = Callable[[bool, "int | None"], None]


class TimeEntriesClient:
    """Creates, stops and updates time entries of the token's owner in one workspace.

    Entries of other users are out of reach: only reports contain them, and reports lag behind. It deletes nothing but a
    duplicate that it created itself.
    """

    def __init__(self, session: TogglSession, workspace_id: int, *, clock: Clock | None = None) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._clock = clock or SystemClock()

    def now(self) -> datetime:
        """Return the current time in UTC, truncated to seconds."""
        return utc(self._clock.now()).replace(microsecond=0)

    def create(
        self,
        spec: TimeEntrySpec,
        *,
        in_doubt: bool,
        sent_after: datetime,
        created_id: int | None = None,
        record_doubt: RecordEntryDoubt,
    ) -> WriteResult[ExistingTimeEntry]:
        """Create a time entry, or start one if it has no stop; Toggl then stops the entry that is running.

        :param in_doubt: whether an earlier try may have sent the request, so that the entry is looked up first.
        :param sent_after: a time before any try sent the request.
        :param created_id: the entry that an earlier try recorded as created.
        :param record_doubt: called when the outcome becomes unknown or known.
        :raises NotApplied: Toggl created a different entry. The next try does not create another one.
        :raises OutcomeUnknown: as :func:`~airflow_provider_toggl.core.client.idempotency.write_once`, which
            raises other errors too.
        """
        if created_id is not None:
            found = self._find_all(spec, sent_after)
            listed = (one for one in found if one.entry_id == created_id)
            # The list may lag behind, so the entry itself is requested before another one is created.
            ours = next(listed, None) or self._find_created(created_id, spec)
            if ours is not None:
                result = self._resolve_duplicate(spec, ours, found)
                record_doubt(False, None)
                return result

        def resolve_duplicate(ours: ExistingTimeEntry) -> WriteResult[ExistingTimeEntry]:
            # If this is interrupted, the next try must know which of two entries it may delete.
            record_doubt(True, ours.entry_id)
            return self._resolve_duplicate(spec, ours, self._find_all(spec, sent_after))

        try:
            return write_once(
                lambda: self._post(spec),
                lambda: self._find(spec, sent_after),
                in_doubt=in_doubt,
                record_doubt=lambda doubt: record_doubt(doubt, None),
                resolve_duplicate=resolve_duplicate,
                clock=self._clock,
            )
        except NotApplied as error:
            # The next try must not create another one.
            record_doubt(True, error.entity_id)
            raise

    def find_running(self) -> ExistingTimeEntry | None:
        """Return the running entry, in whichever workspace; None if none is running."""
        try:
            row = self.session.request("GET", "/api/v9/me/time_entries/current").json()
        except NotFound:
            # This is documented; null is observed.
            return None
        return None if row is None else ExistingTimeEntry.from_http(row)

    def stop(self, entry_id: int) -> tuple[ExistingTimeEntry, bool]:
        """Stop an entry. Return it, and whether this request stopped it; False if it was stopped before.

        Toggl refuses to stop a stopped entry (409), so a repeated request does not change the stop.

        :raises NotFound: the entry does not exist.
        :raises NotApplied: Toggl accepted the request, and the entry still runs.
        """
        try:
            response = self.session.request("PATCH", f"{self._path(entry_id)}/stop", idempotent=True)
        except PayloadRefused as error:
            if error.status != 409:
                raise
            entry, stopped = ExistingTimeEntry.from_http(self._get_row(entry_id)), False
        else:
            (_, entry), stopped = self._read_changed(entry_id, response), True
        if entry.is_running:
            raise NotApplied(
                f"Toggl accepted the request to stop time entry {entry_id}, but it still runs. Stop it again."
            )
        return entry, stopped

    def update(self, entry_id: int, changes: dict[str, Any]) -> ExistingTimeEntry:
        """Set fields of an entry.

        :raises NotFound: the entry does not exist.
        :raises NotApplied: Toggl accepted the change, and a field has another value.
        """
        payload = {"workspace_id": self.workspace_id, **changes}
        response = self.session.request("PUT", self._path(entry_id), payload=payload, idempotent=True)
        row, entry = self._read_changed(entry_id, response)
        check_applied(f"Updating time entry {entry_id}", {"id": entry_id, **payload}, row)
        return entry

    def _get_row(self, entry_id: int) -> Any:
        return self.session.request("GET", f"/api/v9/me/time_entries/{entry_id}").json()

    def _read_changed(self, entry_id: int, response: TogglResponse) -> tuple[Any, ExistingTimeEntry]:
        """Return the entry of a response to a change. If the response does not contain it, request it."""
        try:
            row = response.json()
            entry = ExistingTimeEntry.from_http(row)
        except MalformedAnswer as error:
            log.info("%s The time entry is requested instead.", error)
        else:
            if entry.entry_id == entry_id:
                return row, entry
            log.info("Toggl returned time entry %d instead of %d, which is requested now.", entry.entry_id, entry_id)
        row = self._get_row(entry_id)
        return row, ExistingTimeEntry.from_http(row)

    def _find_created(self, entry_id: int, spec: TimeEntrySpec) -> ExistingTimeEntry | None:
        """Return the entry that an earlier try created, None if it has been deleted since.

        :raises NotApplied: it exists and differs from the spec.
        """
        try:
            row = self._get_row(entry_id)
        except NotFound:
            return None
        is_deleted = isinstance(row, dict) and row.get("server_deleted_at")
        return None if is_deleted else self._check(spec, row)

    def _check(self, spec: TimeEntrySpec, row: dict[str, Any]) -> ExistingTimeEntry:
        entry = ExistingTimeEntry.from_http(row)
        sent = {name: value for name, value in spec.payload().items() if name != "start" or not spec.earliest}
        try:
            check_applied(f"Creating time entry {entry.entry_id}", sent, row)
        except NotApplied as error:
            error.entity_id = entry.entry_id
            raise
        return entry

    def _post(self, spec: TimeEntrySpec) -> ExistingTimeEntry:
        path = f"/api/v9/workspaces/{self.workspace_id}/time_entries"
        return self._check(spec, self.session.request("POST", path, payload=spec.payload(), idempotent=False).json())

    def _find(self, spec: TimeEntrySpec, sent_after: datetime) -> ExistingTimeEntry | None:
        found = self._find_all(spec, sent_after)
        if len(found) > 1:
            log.warning(
                "Time entries %s all match; %d is used.",
                ", ".join(str(one.entry_id) for one in found),
                found[0].entry_id,
            )
        return found[0] if found else None

    def _find_all(self, spec: TimeEntrySpec, sent_after: datetime) -> list[ExistingTimeEntry]:
        first, last = spec.start_range
        params: dict[str, Any]
        if self.now() - first < MAX_START_AGE:
            # Whether the range includes its ends is not documented.
            margin = timedelta(seconds=1)
            params = {"start_date": format_instant(first - margin), "end_date": format_instant(last + margin)}
        else:
            params = {"since": int(max(sent_after - CLOCK_SKEW, self.now() - MAX_START_AGE).timestamp())}
        rows = self.session.request("GET", "/api/v9/me/time_entries", params=params).json() or []
        if not isinstance(rows, list):
            raise MalformedAnswer("Toggl's response is not a list of time entries.")
        return find_matches(spec, rows)

    def _resolve_duplicate(
        self, spec: TimeEntrySpec, created: ExistingTimeEntry, found: list[ExistingTimeEntry]
    ) -> WriteResult[ExistingTimeEntry]:
        """Return the created entry. If an earlier request was carried out late, delete it and return the other one.

        The entry that is deleted is the one whose ID was in the response, because that one is certainly ours.
        """
        others = [one for one in found if one.entry_id != created.entry_id]
        if not others:
            return WriteResult(created, created=True)
        if spec.stop is None and not others[0].is_running:
            log.warning(
                "Time entry %d runs; %d is the same but stopped. If nobody else created it, an earlier request was "
                "carried out late: delete it.",
                created.entry_id,
                others[0].entry_id,
            )
            return WriteResult(created, created=True)
        log.warning(
            "An earlier request was carried out late and created time entry %d; its duplicate %d is deleted.",
            others[0].entry_id,
            created.entry_id,
        )
        self._delete(created.entry_id)
        return WriteResult(others[0], created=False)

    def _delete(self, entry_id: int) -> None:
        """Delete an entry, and check that it is gone, because Toggl may answer 200 without deleting it.

        :raises NotApplied: it still exists. The next try deletes it.
        """
        try:
            self.session.request("DELETE", self._path(entry_id), idempotent=True)
            row = self._get_row(entry_id)
        except NotFound:
            return
        if isinstance(row, dict) and row.get("id") == entry_id and not row.get("server_deleted_at"):
            error = NotApplied(
                f"Toggl confirmed the deletion of time entry {entry_id}, a duplicate of an earlier request, but it "
                "still exists. Run the task again, or delete it in Toggl."
            )
            error.entity_id = entry_id
            raise error

    def _path(self, entry_id: int) -> str:
        return f"/api/v9/workspaces/{self.workspace_id}/time_entries/{entry_id}"
