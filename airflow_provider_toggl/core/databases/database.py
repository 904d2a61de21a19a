"""A database in which one part of the package keeps its own tables, such as the event store; not the warehouse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.errors import DatabaseFault, TogglError

T = TypeVar("T")
Row = tuple[Any, ...]


class ErrorFactory(Protocol):
    """An error class, or a function, that takes a message and the fault: why the database failed."""

    def __call__(self, message: str, *, fault: DatabaseFault = ...) -> TogglError:
        """Return the error."""


@dataclass(frozen=True)
class DatabaseErrors:
    """The errors that a part of the package raises for its database, and how they name it.

    :param name: what messages call the database: ``event store``.
    :param unavailable: it cannot be reached, is locked, full or read-only; trying later may help.
    :param damaged: it is corrupt, or lacks tables.
    :param too_new: a later version of the package made its tables.
    :param loss: what follows if somebody starts with an empty database, as a clause for messages.
    """

    name: str
    unavailable: ErrorFactory
    damaged: ErrorFactory
    too_new: ErrorFactory
    loss: str


class DatabaseSession:
    """Runs named statements with named parameters on one connection.

    :param db: a connection of ``sqlite3`` or psycopg.
    :param statements: by name, as the driver takes them.
    :param adapt: converts a list to what the driver takes.
    """

    def __init__(self, db: Any, statements: Mapping[str, Any], adapt: Callable[[list[Any]], Any]) -> None:
        self._db = db
        self._statements = statements
        self._adapt = adapt

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        rows: list[Row] = self._run(statement, values).fetchall()
        return rows

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return int(self._run(statement, values).rowcount)

    def send(self, statement: str, **values: Any) -> None:
        """Run a statement whose result does not matter; within a pipeline of psycopg it is sent later."""
        self._run(statement, values)

    def _run(self, statement: str, values: Mapping[str, Any]) -> Any:
        bound = {name: self._adapt(value) if isinstance(value, list) else value for name, value in values.items()}
        return self._db.execute(self._statements[statement], bound)


class Database(ABC):
    """A database of one part of the package; several threads may use it at once.

    Outside of ``transact`` each statement is a transaction of its own. What was written is on disk when the call
    returns. Every method may block, and raises the part's own errors.

    :param where: the file or the schema, for messages; nothing secret.
    :param migrations: the statements that lead from each version of the tables to the next.
    :param errors: what to raise.
    :param clock: the clock, for the time of each migration.
    """

    def __init__(self, where: str, migrations: Sequence[Sequence[str]], errors: DatabaseErrors, clock: Clock) -> None:
        self.where = where
        self.errors = errors
        self.clock = clock
        self._migrations = migrations

    def prepare(self) -> None:
        """Create or migrate the tables; costs one query where nothing is to do.

        :raises TogglError: ``errors.too_new``: a later version of the package made the tables.
        """
        version, known = self.find_version(), len(self._migrations)
        if version > known:
            name = self.errors.name
            raise self.errors.too_new(
                f"The {name} {self.where} is of version {version}; this version of airflow-provider-toggl knows "
                f"{known}. Upgrade the package wherever the {name} is used."
            )
        if version < known:
            self.migrate()

    def find_version(self) -> int:
        """Return the version of the tables, 0 where there are none, in a session of its own."""
        return self.run(self.read_version)

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        return self.run(lambda session: session.fetch(statement, **values))

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement in a transaction of its own and return how many rows it changed."""
        return self.run(lambda session: session.execute(statement, **values))

    @abstractmethod
    def run(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns; each of its statements is a transaction of its own.

        The work runs a second time where the connection was lost, so it must change nothing but the database, and
        repeating its statements must do no harm.
        """

    @abstractmethod
    def transact(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns, all of whose statements are one transaction; an error undoes it.

        The work runs a second time as in ``run``, unless the first transaction was committed.
        """

    @abstractmethod
    def read_version(self, session: DatabaseSession) -> int:
        """Return the version of the tables, 0 where there are none, in this session."""

    @abstractmethod
    def migrate(self) -> None:
        """Create or migrate the tables, unless another process just did."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def run_migrations(self, session: DatabaseSession, execute: Callable[[str], object], version: int) -> None:
        """Run the migrations after a version.

        :param execute: runs the text of a statement in the transaction of the session.
        """
        for number, statements in enumerate(self._migrations[version:], start=version + 1):
            for statement in statements:
                execute(statement)
            session.execute("insert_version", version=number, applied_at=int(self.clock.now() * 1e6))
