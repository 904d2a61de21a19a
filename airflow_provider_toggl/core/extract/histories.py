"""Read histories: one request for each object that changed since its history was read.

No list of Toggl has the histories of all objects. Other lists say when each object changed last, so that only those
histories are read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

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
from airflow_provider_toggl.core.extract.cursor import HistoriesCursor, dump
from airflow_provider_toggl.core.extract.pages import Page, as_rows, retry_malformed
from airflow_provider_toggl.core.json_text import read_json
from airflow_provider_toggl.core.streams import Stream
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

#: Histories in a page: few enough to lose little where a run stops, and few transactions.
PAGE = 20


class History(Protocol):
    """The history of one object."""

    @property
    def label(self) -> str:
        """What it is, for log lines."""

    @property
    def path(self) -> str:
        """Its path below the stream's."""

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of its query."""

    @property
    def list_name(self) -> str:
        """The key of the cursor's mark for it: the list that says when it changed, and after a slash its kind."""

    @property
    def changed_at(self) -> datetime:
        """When the object changed last (UTC)."""

    @property
    def optional(self) -> str:
        """What is left out where Toggl refuses histories of this kind; empty if that is the whole stream."""

    @property
    def key(self) -> Hashable:
        """What ``Histories.stored`` has the object's rows by."""

    def complete(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row of the answer with what it lacks."""


@dataclass(frozen=True)
class Histories:
    """The histories of a workspace, as far as its warehouse knows what has one.

    :param all: every one.
    :param read_up_to: by ``list_name``: the instant (Toggl's clock) up to which changes are known. Without the lists
        that are missing.
    :param missing: lists that were never loaded.
    :param stored: ids of the live rows that a complete history would have. Empty where rows are only added.
    :param first_reaches: a first load reads only what changed within this time before it; None means everything.
    """

    all: Sequence[History] = ()
    read_up_to: Mapping[str, datetime] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    stored: Mapping[Hashable, frozenset[int]] = field(default_factory=dict)
    first_reaches: timedelta | None = None


class HistoriesReader:
    """Reads the histories that changed since the cursor's marks.

    :param run_started: histories read since then (by this machine's clock) are done.
    :param histories: as the warehouse knows them when the run starts.
    """

    def __init__(
        self,
        session: TogglSession,
        stream: Stream,
        workspace_id: int,
        histories: Histories,
        cursor: HistoriesCursor,
        *,
        run_started: datetime,
        watermark: datetime | None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._stream = stream
        self._workspace_id = workspace_id
        self._run_started = run_started
        self._histories = histories
        self._watermark = watermark
        self._clock = clock or SystemClock()
        self._refused: set[str] = set()
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

    def _read_part(self, part: list[History], page: _OpenPage) -> ApiError | None:
        """Read some histories into a page; return the error that stopped it.

        :raises ApiError: Toggl refused all of them. One object may be gone; if all seem to be, the request is wrong,
            and none may count as read.
        """
        for one in part:
            if _kind_of(one.list_name) not in self._refused:
                try:
                    self._read_history(one, page)
                except ApiError as error:
                    return error
        if len(page.refusals) > 1 and not page.read:
            raise page.refusals[-1]
        return None

    def _read_history(self, one: History, page: _OpenPage) -> None:
        path = f"{self._stream.path.format(workspace_id=self._workspace_id)}/{one.path}"

        def ask() -> TogglResponse:
            answer = self._session.request("GET", path, params=dict(one.params))
            page.add(one, as_rows(self._stream, answer.body), answer.date, path, self._histories.stored)
            return answer

        try:
            retry_malformed(ask)
        except (NotFound, PayloadRefused) as error:
            # The object is gone since it was listed: what is stored of it stays, for the entries that it had.
            log.warning("%s: not read. %s", one.label, error)
            page.refusals.append(error)
        except (PlanLacksFeature, AccessDenied) as error:
            if not one.optional:
                raise
            log.warning(
                "%s of workspace %d are left out, and their columns stay null: Toggl does not show them "
                "to the token's owner, or the plan has none. The next run asks again. %s",
                one.optional,
                self._workspace_id,
                error,
            )
            self._refused.add(_kind_of(one.list_name))
            return
        self.cursor = replace(self.cursor, marks={**self.cursor.marks, one.list_name: one.changed_at})

    def _find_due(self) -> list[History]:
        """Return the objects whose histories are to be read, those of one list by the time of their change."""
        marks = self.cursor.marks
        if self._histories.first_reaches is not None:
            begin = self._run_started - self._histories.first_reaches
            marks = {**dict.fromkeys(self._histories.read_up_to, begin), **marks}
        due = [
            one for one in self._histories.all if one.list_name not in marks or one.changed_at >= marks[one.list_name]
        ]
        return sorted(due, key=lambda one: (one.list_name, one.changed_at, one.path))

    def _close(self, opened_at: datetime) -> None:
        """Move the marks to where the lists were read up to: nothing that changed before is missing."""
        known = self._histories.read_up_to
        moved = {name: up_to for name, up_to in known.items() if _kind_of(name) not in self._refused}
        self.cursor = replace(self.cursor, marks={**self.cursor.marks, **moved}, read_at=opened_at, skipped="")
        if self._histories.missing:
            log.warning(
                "%s is not complete: %s of workspace %d were never loaded, and histories are found through them. Load "
                "them before; the next run goes on.",
                self._stream.name,
                ", ".join(self._histories.missing),
                self._workspace_id,
            )
            return
        up_to = min(known.values())
        self._watermark = max(up_to, self._watermark or up_to)

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
        self, one: History, body: bytes, date: datetime, path: str, stored: Mapping[Hashable, frozenset[int]]
    ) -> None:
        """Add a history, and the stored rows that it lacks.

        :param date: of the answer, by Toggl's clock.
        :raises MalformedAnswer: it is no list of objects.
        """
        try:
            decoded = read_json(body.strip() or b"null") or []
        except ValueError:
            decoded = None
        if not isinstance(decoded, list) or not all(isinstance(row, dict) for row in decoded):
            raise MalformedAnswer(f"GET {path}: the answer is no list of objects. It was not loaded.")
        if not self.read:
            self.observed_at = date
        self.read += 1
        self.rows += [one.complete(row) for row in decoded]
        found = {row.get("id") for row in decoded}
        self.absent |= {id_ for id_ in stored.get(one.key, ()) if id_ not in found}


def _kind_of(list_name: str) -> str:
    return list_name.rpartition("/")[2]
