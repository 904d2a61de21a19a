"""A picture of a weekly report, with the figures that it shows, or with the reason why it is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from airflow_provider_toggl.core.load.warehouse import Warehouse


@dataclass(frozen=True)
class Picture:
    """A picture and its table.

    :param name: of its file, without an extension.
    :param title: of the picture, for people.
    :param notes: how the figures are counted, and what they leave out; without a picture, why there is none.
    :param head: the columns of the table, the first one of names.
    :param rows: its rows, as texts.
    :param draw: returns the figure; None: the picture is left out.
    """

    name: str
    title: str
    notes: tuple[str, ...]
    head: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    draw: Callable[[], Figure] | None = None


def read_rows(warehouse: Warehouse, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    found = warehouse.query(sql, parameters)
    return list(zip(*(column.to_pylist() for column in found.columns), strict=True))


def why_empty(stream: str, needs: str) -> str:
    """Return why a picture is left out whose table has no rows.

    :param needs: what Toggl gives the rows to.
    """
    return f"Left out: the table {stream} has no rows. Load the stream {stream}; it needs {needs}."
