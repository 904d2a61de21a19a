"""Read the histories of rates: one request for each object whose rate or cost changed since its history was read.

No list of Toggl has the rates of all objects. The lists of projects, tasks and members say when each object's rate and
labor cost changed last, so that only those histories are read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import (
    AccessDenied,
    ApiError,
    MalformedAnswer,
    NotFound,
    PayloadRefused,
    PlanLacksFeature,
)
from airflow_provider_toggl.core.extract.cursor import RatesCursor, dump
from airflow_provider_toggl.core.extract.pages import Page, retry_malformed
from airflow_provider_toggl.core.json_text import read_json
from airflow_provider_toggl.core.rates import FIELDS, Kind, Level, Subject
from airflow_provider_toggl.core.streams import Stream
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

#: Histories in a page: few enough to lose little where a run stops, and few transactions.
PAGE = 20


@dataclass(frozen=True)
class RatedObject:
    """An object with a rate or a labor cost.

    :param kind: billable rates or labor costs; each has a history of its own.
    :param id: the object's id.
    :param subject: the ids that its rates concern time entries by.
    :param currency: ISO 4217 code of its amounts, which Toggl's rates lack; None where it is not known.
    :param changed_at: when its rate changed last (UTC).
    :param source: the stream whose table has this time.
    """

    kind: Kind
    level: Level
    id: int
    subject: Subject
    currency: str | None
    changed_at: datetime
    source: str

    @property
    def list_name(self) -> str:
        """The key of the cursor's mark for this object: the stream that lists it, and the kind."""
        return f"{self.source}/{self.kind}"


@dataclass(frozen=True)
class RatedObjects:
    """The objects with rates that the warehouse knows.

    :param read_up_to: of each source that is loaded, the instant (Toggl's clock) up to which its changes are known.
    :param missing: sources that were never loaded.
    :param stored: ids of the live rates that are stored, by kind, level and object.
    """

    objects: tuple[RatedObject, ...] = ()
    read_up_to: Mapping[str, datetime] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    stored: Mapping[tuple[str, str, int], frozenset[int]] = field(default_factory=dict)


class RatesReader:
    """Reads the histories that changed since the cursor's marks.

    :param run_started: histories read since then (by this machine's clock) are done.
    :param rated: the objects, as the warehouse knows them when the run starts.
    """

    def __init__(
        self,
        session: TogglSession,
        stream: Stream,
        workspace_id: int,
        rated: RatedObjects,
        cursor: RatesCursor,
        *,
        run_started: datetime,
        watermark: datetime | None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._stream = stream
        self._workspace_id = workspace_id
        self._run_started = run_started
        self._rated = rated
        self._watermark = watermark
        self._clock = clock or SystemClock()
        self._refused: set[Kind] = set()
        self._spent = session.spent
        self.cursor = cursor

    def pages(self) -> Iterator[Page]:
        """Yield pages of histories until all that changed are read; the cursor of each page says how to go on.

        :raises ApiError: pages that were yielded stay valid, and a later run can go on from the last one's cursor.
        """
        if self.cursor.read_at is not None and self.cursor.read_at >= self._run_started:
            return
        opened_at = max(utc(self._clock.now()), self._run_started)
        due = self._find_due()
        self._session.expect(len(due))
        log.info("%s: %s to read.", self._stream.name, plural(len(due), "history"))
        parts = [due[index : index + PAGE] for index in range(0, len(due), PAGE)] or [[]]
        for index, part in enumerate(parts):
            page = _OpenPage(utc(self._clock.now()))
            error = self._read_part(part, page)
            done = error is None and index == len(parts) - 1
            if done:
                self._close(opened_at)
            share = 1.0 if done else (index * PAGE + page.read) / max(1, len(due))
            yield self._build_page(page, share)
            if error is not None:
                raise error

    def _read_part(self, part: list[RatedObject], page: _OpenPage) -> ApiError | None:
        """Read some histories into a page; return the error that stopped it.

        :raises ApiError: Toggl refused all of them. One object may be gone; if all seem to be, the request is wrong,
            and none may count as read.
        """
        for one in part:
            if one.kind not in self._refused:
                try:
                    self._read_history(one, page)
                except ApiError as error:
                    return error
        if len(page.refusals) > 1 and not page.read:
            raise page.refusals[-1]
        return None

    def _read_history(self, one: RatedObject, page: _OpenPage) -> None:
        path = f"{self._stream.path.format(workspace_id=self._workspace_id)}/{one.level}/{one.id}"

        def ask() -> TogglResponse:
            answer = self._session.request("GET", path, params={"type": one.kind})
            page.add(one, answer, path, self._rated.stored)
            return answer

        try:
            retry_malformed(ask)
        except (NotFound, PayloadRefused) as error:
            # The object is gone since it was listed: what is stored of it stays, for the entries that it had.
            log.warning("%s of %s %d: not read. %s", one.kind, one.level, one.id, error)
            page.refusals.append(error)
        except (PlanLacksFeature, AccessDenied) as error:
            if one.kind == "billable_rates":
                raise
            log.warning(
                "The labor costs of workspace %d are left out, and their columns stay null: Toggl does not show them "
                "to the token's owner, or the plan has none. The next run asks again. %s",
                self._workspace_id,
                error,
            )
            self._refused.add(one.kind)
            return
        self.cursor = replace(self.cursor, marks={**self.cursor.marks, one.list_name: one.changed_at})

    def _find_due(self) -> list[RatedObject]:
        """Return the objects whose histories are to be read, those of one list by the time of their change."""
        marks = self.cursor.marks
        due = [
            one for one in self._rated.objects if one.list_name not in marks or one.changed_at >= marks[one.list_name]
        ]
        return sorted(due, key=lambda one: (one.list_name, one.changed_at, one.id))

    def _close(self, opened_at: datetime) -> None:
        """Move the marks to where the lists were read up to: nothing that changed before is missing."""
        marks = dict(self.cursor.marks)
        for source, up_to in self._rated.read_up_to.items():
            for kind in ("billable_rates", "labor_costs"):
                if kind not in self._refused:
                    marks[f"{source}/{kind}"] = up_to
        self.cursor = replace(self.cursor, marks=marks, read_at=opened_at, skipped="")
        if self._rated.missing:
            log.warning(
                "The rates are not complete: %s of workspace %d were never loaded, and histories are found through "
                "them. Load them before rates; the next run goes on.",
                ", ".join(self._rated.missing),
                self._workspace_id,
            )
            return
        known = min(self._rated.read_up_to.values())
        self._watermark = max(known, self._watermark or known)

    def skip(self, reason: str) -> Page:
        """Return a page without rows that stores why the histories were refused; the table stays as it is.

        :param reason: what the plan or the token lacks.
        """
        is_new = self.cursor.skipped != reason
        log.log(logging.WARNING if is_new else logging.INFO, "Skipped, and asked again at the next run: %s", reason)
        self.cursor = replace(self.cursor, skipped=reason)
        return self._build_page(_OpenPage(utc(self._clock.now())), 1.0)

    def _build_page(self, page: _OpenPage, share: float) -> Page:
        spent, self._spent = self._spent, self._session.spent
        return Page(
            stream=self._stream.name,
            body=json.dumps(page.rows).encode(),
            rows=len(page.rows),
            observed_at=page.observed_at,
            watermark=self._watermark,
            cursor=dump(self.cursor),
            requests=self._spent - spent,
            where="changed histories",
            share=share,
            absent_ids=tuple(sorted(page.absent)),
        )


@dataclass
class _OpenPage:
    """Histories on their way to a page.

    :param observed_at: when the first of them was read, by Toggl's clock: none of them is older.
    :param refusals: of histories whose object seems to be gone.
    """

    observed_at: datetime
    rows: list[dict[str, Any]] = field(default_factory=list)
    absent: set[int] = field(default_factory=set)
    refusals: list[ApiError] = field(default_factory=list)
    read: int = 0

    def add(
        self,
        one: RatedObject,
        answer: TogglResponse,
        path: str,
        stored: Mapping[tuple[str, str, int], frozenset[int]],
    ) -> None:
        """Add a history, and the stored rates that it lacks.

        :raises MalformedAnswer: it is no list of objects.
        """
        try:
            decoded = read_json(answer.body.strip() or b"null") or []
        except ValueError:
            decoded = None
        if not isinstance(decoded, list) or not all(isinstance(row, dict) for row in decoded):
            raise MalformedAnswer(f"GET {path}: the answer is no list of rates. It was not loaded.")
        if not self.read:
            self.observed_at = answer.date
        self.read += 1
        self.rows += [complete(row, one) for row in decoded]
        found = {row.get("id") for row in decoded}
        self.absent |= {id_ for id_ in stored.get((one.kind, one.level, one.id), ()) if id_ not in found}


def complete(row: Mapping[str, Any], one: RatedObject) -> dict[str, Any]:
    """Return a rate with what it is set for, in the same form at each level, and its currency.

    :param row: the rate as Toggl sends it.
    :param one: the object that its history was read for.
    """
    subject = {name: getattr(one.subject, name) for name in FIELDS[one.level]}
    return {
        **row,
        **dict.fromkeys(("user_id", "project_id", "task_id")),
        **subject,
        "workspace_id": one.subject.workspace_id,
        "type": one.kind,
        "level": one.level,
        "level_id": one.id,
        "currency": one.currency,
        "at": row.get("updated_at"),
    }
