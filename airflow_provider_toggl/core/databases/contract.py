"""A database that a part of the package keeps its own tables in: what every engine can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from airflow_provider_toggl.core.errors import DatabaseFault, TogglError

T = TypeVar("T")
Row = tuple[Any, ...]


class BuildError(Protocol):
    """An error class that carries why the database failed."""

    def __call__(self, message: str, *, fault: DatabaseFault = ...) -> TogglError:
        """Return the error."""


@dataclass(frozen=True)
class DatabaseErrors:
    """The errors that a part of the package raises for its database, and how they name it.

    :param name: what messages call the database: ``event store``.
    :param unavailable: it cannot be reached, is locked, full or read-only; trying later may help.
    :param damaged: it is corrupt, or lacks tables.
    :param too_new: a later version of the package made its tables.
    :param loss: what becomes of the data where a person begins a new database.
    """

    name: str
    unavailable: BuildError
    damaged: BuildError
    too_new: BuildError
    loss: str

    def build_too_new(self, where: str, version: int, known: int) -> TogglError:
        """Return the error for tables of a later version."""
        return self.too_new(
            f"The {self.name} {where} is of version {version}; this version of airflow-provider-toggl knows {known}. "
            f"Upgrade the package wherever the {self.name} is used."
        )


class Session(Protocol):
    """Runs named statements with named parameters."""

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""


class Database(Session, Protocol):
    """A database of one part of the package; may be used by several threads at once.

    Outside of ``transact`` each statement is a transaction of its own. What was written is on disk when the call
    returns. Every method may block, and raises the part's own errors (``DatabaseErrors``).
    """

    def prepare(self) -> None:
        """Create or migrate the tables; costs one query where nothing is to do."""

    def transact(self, work: Callable[[Session], T]) -> T:
        """Return what the work returns, all of whose statements are one transaction.

        An error undoes it. The work runs a second time where the connection was lost, so it must not change anything
        but the database.
        """

    def close(self) -> None:
        """Close the connections."""
