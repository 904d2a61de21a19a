"""What a database must be able to do to keep events: one engine for SQLite, one for PostgreSQL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from airflow_provider_toggl.core.databases.database import Database, DatabaseErrors, Row
from airflow_provider_toggl.core.databases.statements import load_migrations, load_statements
from airflow_provider_toggl.core.errors import EventStoreDamaged, EventStoreTooNew, EventStoreUnavailable
from airflow_provider_toggl.core.events.model import Appended, StoreFacts

ERRORS = DatabaseErrors(
    name="event store",
    unavailable=EventStoreUnavailable,
    damaged=EventStoreDamaged,
    too_new=EventStoreTooNew,
    loss="the next pull loads what is missing",
)


class EventEngine(Database):
    """A database of events. Its statements are those of ``sql/events.sql`` and of the engine's own file."""

    @abstractmethod
    def append(self, rows: Sequence[Row]) -> list[Appended]:
        """Store rows of ``rows.EVENT_COLUMNS``, at least one, in one durable transaction; return where each is.

        The order of ``seq`` is the order in which rows become visible, also with several writers, and has no gaps.
        """

    @abstractmethod
    def fetch_each(self, statement: str, keys: Sequence[str], **values: Any) -> list[Row]:
        """Return the rows of a statement for each of some keys, in any order.

        The statement takes one key as ``:key`` in SQLite, where a query is a call, and all as ``:keys`` in PostgreSQL,
        where a query is a round trip.
        """

    @abstractmethod
    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as there is an event with a greater ``seq``, False after so many seconds without one.

        Blocks its thread, at little cost. ``close`` ends it.
        """

    @abstractmethod
    def inspect(self, patience: float) -> StoreFacts:
        """Return the state of the database; changes nothing.

        :param patience: seconds after which a check of all pages is abandoned.
        """


def load_event_statements(engine: str) -> dict[str, str]:
    """Return the statements of the event store in an engine, by name."""
    return {**load_statements(__package__, "sql/events.sql"), **load_statements(__package__, f"sql/{engine}.sql")}


def load_event_migrations(engine: str) -> tuple[tuple[str, ...], ...]:
    """Return the statements that lead from each version of the event store's tables to the next."""
    return load_migrations(__package__, f"sql/{engine}.sql")
