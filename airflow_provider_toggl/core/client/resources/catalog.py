"""Projects, clients, tags and tasks by name: finds them, or creates them once.

The name is looked up first, which costs one request in every run but the first. Toggl refuses a second object with the
same name (of projects within a client, of tasks within a project), so a repeated request creates no duplicate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_toggl.core.client.applied_writes import check_applied
from airflow_provider_toggl.core.client.idempotency import WriteResult, write_once
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer, PayloadRefused

CatalogKind = Literal["project", "client", "tag", "task"]

PER_PAGE = 200
MAX_PAGES = 100
#: Seconds before each lookup of an object whose name Toggl says is taken. New objects take a while to appear in lists
#: (https://engineering.toggl.com/docs/#eventual-consistency).
LOOKUP_DELAYS = (0.0, 2.0, 4.0)

# Toggl may change other fields of a new object, depending on the workspace's plan and settings.
_COMPARED = ("name", "active", "client_id")
_TAKEN = re.compile(r"already|taken|in use", re.IGNORECASE)


@dataclass(frozen=True)
class CatalogItemSpec:
    """An object that must exist.

    :param parent_id: the project of a task, or the client of a project; None for a project of any client.
    :param more: further fields to create it with. They are not compared with an object that is found.
    """

    kind: CatalogKind
    name: str
    parent_id: int | None = None
    more: Mapping[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """Return the body of the POST that creates it."""
        body = {**(self.more or {}), "name": self.name}
        if self.kind == "project":
            # As observed, Toggl archives a project that is created without `active`.
            body = {"active": True, **body}
            if self.parent_id is not None:
                body["client_id"] = self.parent_id
        return body


@dataclass(frozen=True)
class CatalogItem:
    """A project, client, tag or task in Toggl.

    :param active: False if it is archived, or if the task is done.
    """

    kind: CatalogKind
    entity_id: int
    name: str
    parent_id: int | None
    active: bool

    @classmethod
    def from_http(cls, kind: CatalogKind, row: Any) -> CatalogItem:
        """Return the object of a response.

        :raises MalformedAnswer: it has no ID or no name.
        """
        if isinstance(row, list) and len(row) == 1:
            # Toggl's documentation defines the response of a tag's creation as a list.
            (row,) = row
        number, name = (row.get("id"), row.get("name")) if isinstance(row, dict) else (None, None)
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(name, str):
            raise MalformedAnswer(f"Toggl's response has a {kind} without an ID or a name.")
        parent = {"project": "client_id", "task": "project_id"}.get(kind)
        active = row.get("active") is not False and row.get("archived") is not True
        return cls(kind, number, name, row.get(parent) if parent else None, active)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "kind": self.kind,
            "id": self.entity_id,
            "name": self.name,
            "client_id": self.parent_id if self.kind == "project" else None,
            "project_id": self.parent_id if self.kind == "task" else None,
            "active": self.active,
        }


def find_match(spec: CatalogItemSpec, found: list[CatalogItem], *, any_case: bool = False) -> CatalogItem | None:
    """Return the object with that name and parent: active ones first, then the oldest. None if there is none.

    :param any_case: also match names that differ in case, for a name that Toggl says is taken.
    """
    words = spec.name.strip()
    fitting = [
        one
        for one in found
        if (spec.parent_id is None or one.parent_id == spec.parent_id)
        and (one.name.strip() == words or (any_case and one.name.strip().casefold() == words.casefold()))
    ]
    return min(fitting, key=lambda one: (one.name.strip() != words, not one.active, one.entity_id), default=None)


class CatalogClient:
    """Finds and creates projects, clients, tags and tasks of one workspace.

    :param session: its requests are charged to the organization's lane.
    """

    def __init__(self, session: TogglSession, workspace_id: int, *, clock: Clock | None = None) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._clock = clock or SystemClock()

    def ensure(self, spec: CatalogItemSpec) -> WriteResult[CatalogItem]:
        """Return the object with that name; create it if there is none.

        :raises ConfigurationError: the name is empty, or a task has no project.
        :raises PayloadRefused: Toggl refuses it.
        :raises NotApplied: the object that Toggl created has another name or parent.
        :raises OutcomeUnknown: as :func:`~airflow_provider_toggl.core.client.idempotency.write_once`.
        """
        if not spec.name.strip():
            raise ConfigurationError(f"A {spec.kind} needs a name.")
        if spec.kind == "task" and spec.parent_id is None:
            raise ConfigurationError(f"Task {spec.name!r} needs the project_id of its project.")
        existing = self._find(spec)
        if existing is not None:
            return WriteResult(existing, created=False)
        raced: list[CatalogItem] = []
        result = write_once(lambda: self._create(spec, raced.append), lambda: self._find(spec), clock=self._clock)
        return WriteResult(result.value, created=False) if raced else result

    def _create(self, spec: CatalogItemSpec, raced: Callable[[CatalogItem], None]) -> CatalogItem:
        try:
            response = self.session.request("POST", self._path(spec), payload=spec.payload(), idempotent=False)
        except PayloadRefused as error:
            # Another task or a person was faster, or the names differ in a way that Toggl ignores.
            taken = self._find_taken(spec) if _TAKEN.search(error.text) else None
            if taken is None:
                raise
            raced(taken)
            return taken
        row = response.json()
        created = CatalogItem.from_http(spec.kind, row)
        sent = {name: value for name, value in spec.payload().items() if name in _COMPARED}
        row = row[0] if isinstance(row, list) else row
        check_applied(f"Creating {spec.kind} {created.entity_id}", sent, row)
        return created

    def _find_taken(self, spec: CatalogItemSpec) -> CatalogItem | None:
        for pause in LOOKUP_DELAYS:
            if pause:
                self._clock.sleep(pause)
            taken = self._find(spec, any_case=True)
            if taken is not None:
                return taken
        return None

    def _find(self, spec: CatalogItemSpec, *, any_case: bool = False) -> CatalogItem | None:
        seen: list[CatalogItem] = []
        for page in self._pages(spec):
            seen.extend(page)
            found = find_match(spec, seen, any_case=any_case)
            if found is not None and found.active:
                return found
        return find_match(spec, seen, any_case=any_case)

    def _pages(self, spec: CatalogItemSpec) -> Iterator[list[CatalogItem]]:
        """Yield the objects whose names contain the wanted one, including archived ones."""
        # Toggl's filters match parts of names and ignore case. They only reduce the number of rows.
        filters: dict[CatalogKind, dict[str, Any]] = {
            "project": {"active": "both", "name": spec.name.strip(), "per_page": PER_PAGE},
            "client": {"status": "both", "name": spec.name.strip()},
            "tag": {"search": spec.name.strip(), "per_page": PER_PAGE},
            "task": {},
        }
        params, before = filters[spec.kind], -1
        has_pages = "per_page" in params
        for number in range(1, MAX_PAGES + 1):
            query = {**params, "page": number} if has_pages else params
            response = self.session.request("GET", self._path(spec), params=query)
            page, length = _read_page(response.json(), spec.kind)
            yield page
            # If Toggl does not report the page size, only an empty page is certainly the last one. A page that starts
            # like the one before means that Toggl ignores the page number.
            page_size, first = response.header_int("x-page-size"), page[0].entity_id if page else before
            if not has_pages or first == before or length < (page_size or 1):
                return
            before = first
        raise MalformedAnswer(f"The list of {spec.kind}s has no end: {MAX_PAGES} pages were read.")

    def _path(self, spec: CatalogItemSpec) -> str:
        base = f"/api/v9/workspaces/{self.workspace_id}"
        if spec.kind == "task":
            return f"{base}/projects/{spec.parent_id}/tasks"
        return f"{base}/{spec.kind}s"


def _read_page(decoded: Any, kind: CatalogKind) -> tuple[list[CatalogItem], int]:
    """Return the objects of a page that are not deleted, and the number of rows of the page."""
    rows = decoded or []
    if not isinstance(rows, list):
        raise MalformedAnswer(f"Toggl's response is not a list of {kind}s.")
    deletion_times = ("server_deleted_at", "deleted_at")
    live = [row for row in rows if not (isinstance(row, dict) and any(row.get(name) for name in deletion_times))]
    return [CatalogItem.from_http(kind, row) for row in live], len(rows)
