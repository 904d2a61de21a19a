"""Projects, clients, tags and tasks by their names: found, or else created, once.

The name is looked for first: one request where it is there, which it is in every run but the first; two where it is
not. To create first would be one where it is not and two where it is. Toggl lets no two have the same name (of a
project: at one client; of a task: in one project), so that a request that is sent twice makes no second one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_toggl.core.client.idempotency import WriteResult, write_once
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.verification import check_applied
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer, PayloadRefused

log = logging.getLogger(__name__)

CatalogKind = Literal["project", "client", "tag", "task"]

PER_PAGE = 200
MAX_PAGES = 100
#: Seconds before each look for one whose name Toggl says is taken: new ones take it a while to show
#: (https://engineering.toggl.com/docs/#eventual-consistency).
LOOKUP_DELAYS = (0.0, 2.0, 4.0)

# What else a new one is given, Toggl may change by the workspace's plan and settings.
_COMPARED = ("name", "active", "client_id")
_TAKEN = re.compile(r"already|taken|in use", re.IGNORECASE)


@dataclass(frozen=True)
class CatalogItemSpec:
    """What is to be there.

    :param kind: what it is.
    :param parent_id: a task's project; a project's client, None where any will do.
    :param more: further fields to create it with; of one that is found they are not compared.
    """

    kind: CatalogKind
    name: str
    parent_id: int | None = None
    more: Mapping[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """Return it as the body of a POST."""
        body = {**(self.more or {}), "name": self.name}
        if self.kind == "project":
            # As recorded, Toggl archives a project that is not said to be active.
            body = {"active": True, **body}
            if self.parent_id is not None:
                body["client_id"] = self.parent_id
        return body


@dataclass(frozen=True)
class CatalogItem:
    """A project, client, tag or task as Toggl tells of it.

    :param active: False: archived, or of a task, done.
    """

    kind: CatalogKind
    entity_id: int
    name: str
    parent_id: int | None
    active: bool

    @classmethod
    def from_http(cls, kind: CatalogKind, row: Any) -> CatalogItem:
        """Read one of an answer.

        :raises MalformedAnswer: it is no object with an id and a name.
        """
        if isinstance(row, list) and len(row) == 1:
            # So the definition of a tag's creation.
            (row,) = row
        number, name = (row.get("id"), row.get("name")) if isinstance(row, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str):
            raise MalformedAnswer(f"Toggl's answer has a {kind} without an id or a name.")
        parent = {"project": "client_id", "task": "project_id"}.get(kind)
        active = row.get("active") is not False and row.get("archived") is not True
        return cls(kind, number, name, row.get(parent) if parent else None, active)

    def as_dict(self) -> dict[str, Any]:
        """Return it as small, plain values."""
        return {
            "kind": self.kind,
            "id": self.entity_id,
            "name": self.name,
            "client_id": self.parent_id if self.kind == "project" else None,
            "project_id": self.parent_id if self.kind == "task" else None,
            "active": self.active,
        }


def find_match(wanted: CatalogItemSpec, found: list[CatalogItem], *, any_case: bool = False) -> CatalogItem | None:
    """Return the one of that name: active ones first, then the oldest.

    :param any_case: also one whose name differs by case, for a name that Toggl says is taken.
    """
    words = wanted.name.strip()
    fitting = [
        one
        for one in found
        if (wanted.parent_id is None or one.parent_id == wanted.parent_id)
        and (one.name.strip() == words or (any_case and one.name.strip().casefold() == words.casefold()))
    ]
    return min(fitting, key=lambda one: (one.name.strip() != words, not one.active, one.entity_id), default=None)


class CatalogClient:
    """What a workspace's time entries point at.

    :param session: asks; all of it is charged to the organization's lane.
    """

    def __init__(self, session: TogglSession, workspace_id: int, *, clock: Clock | None = None) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._clock = clock or SystemClock()

    def ensure(self, wanted: CatalogItemSpec) -> WriteResult[CatalogItem]:
        """Return the one of that name, created where there is none.

        :raises ConfigurationError: the name is empty, or a task has no project.
        :raises PayloadRefused: Toggl refuses it.
        :raises NotApplied: what Toggl made has another name, or is elsewhere.
        :raises OutcomeUnknown: as :func:`~airflow_provider_toggl.core.client.idempotency.write_once`.
        """
        if not wanted.name.strip():
            raise ConfigurationError(f"A {wanted.kind} needs a name.")
        if wanted.kind == "task" and wanted.parent_id is None:
            raise ConfigurationError(f"Task {wanted.name!r} needs the project_id that it is to be in.")
        there = self._find(wanted)
        if there is not None:
            return WriteResult(there, made=False)
        raced: list[CatalogItem] = []
        done = write_once(lambda: self._create(wanted, raced.append), lambda: self._find(wanted), clock=self._clock)
        return WriteResult(done.thing, made=False) if raced else done

    def _create(self, wanted: CatalogItemSpec, raced: Callable[[CatalogItem], None]) -> CatalogItem:
        try:
            answer = self.session.request("POST", self._path(wanted), payload=wanted.payload(), idempotent=False)
        except PayloadRefused as error:
            # Another task, or a person, was faster; or the name differs by what Toggl does not tell apart.
            taken = self._find_taken(wanted) if _TAKEN.search(error.text) else None
            if taken is None:
                raise
            raced(taken)
            return taken
        row = answer.json()
        made = CatalogItem.from_http(wanted.kind, row)
        asked = {name: value for name, value in wanted.payload().items() if name in _COMPARED}
        row = row[0] if isinstance(row, list) else row
        check_applied(f"Creating {wanted.kind} {made.entity_id}", asked, row)
        return made

    def _find_taken(self, wanted: CatalogItemSpec) -> CatalogItem | None:
        for pause in LOOKUP_DELAYS:
            if pause:
                self._clock.sleep(pause)
            taken = self._find(wanted, any_case=True)
            if taken is not None:
                return taken
        return None

    def _find(self, wanted: CatalogItemSpec, *, any_case: bool = False) -> CatalogItem | None:
        seen: list[CatalogItem] = []
        for page in self._pages(wanted):
            seen.extend(page)
            found = find_match(wanted, seen, any_case=any_case)
            if found is not None and found.active:
                return found
        return find_match(wanted, seen, any_case=any_case)

    def _pages(self, wanted: CatalogItemSpec) -> Iterator[list[CatalogItem]]:
        """Yield those whose names have the wanted one in them, archived ones too."""
        # Toggl's filters by name look for a part of it, without regard to case; that is only to get fewer rows.
        filters: dict[CatalogKind, dict[str, Any]] = {
            "project": {"active": "both", "name": wanted.name.strip(), "per_page": PER_PAGE},
            "client": {"status": "both", "name": wanted.name.strip()},
            "tag": {"search": wanted.name.strip(), "per_page": PER_PAGE},
            "task": {},
        }
        params, before = filters[wanted.kind], -1
        has_pages = "per_page" in params
        for number in range(1, MAX_PAGES + 1):
            query = {**params, "page": number} if has_pages else params
            answer = self.session.request("GET", self._path(wanted), params=query)
            page, length = _read_page(answer.json(), wanted.kind)
            yield page
            # Where Toggl does not say how long a full page is, only an empty one is surely the last. One that begins
            # like the one before comes of a page number that is not heeded.
            told_size, first = answer.header_int("x-page-size"), page[0].entity_id if page else before
            if not has_pages or first == before or length < (told_size or 1):
                return
            before = first
        raise MalformedAnswer(f"The list of {wanted.kind}s has no end: {MAX_PAGES} pages were read.")

    def _path(self, wanted: CatalogItemSpec) -> str:
        base = f"/api/v9/workspaces/{self.workspace_id}"
        if wanted.kind == "task":
            return f"{base}/projects/{wanted.parent_id}/tasks"
        return f"{base}/{wanted.kind}s"


def _read_page(decoded: Any, kind: CatalogKind) -> tuple[list[CatalogItem], int]:
    """Return those of a page that are not deleted, and how many it had."""
    rows = decoded or []
    if not isinstance(rows, list):
        raise MalformedAnswer(f"Toggl's answer is not the list of {kind}s that was asked for.")
    gone = ("server_deleted_at", "deleted_at")
    live = [row for row in rows if not (isinstance(row, dict) and any(row.get(name) for name in gone))]
    return [CatalogItem.from_http(kind, row) for row in live], len(rows)
