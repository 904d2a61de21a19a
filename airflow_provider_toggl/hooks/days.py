"""The days whose time entries changed, for DAGs that compute only those again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.arguments import parse_id, parse_text, parse_whole, required
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.merging.changed_days import (
    ChangedDays,
    DayOffset,
    find_days,
    find_offset,
    store_offset,
)
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_warehouse, report_tables_read

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.engines.contract import Session

__all__ = ["ChangedDays", "DaysToCompute", "compute_changed_days", "find_changed_days"]


@dataclass(frozen=True)
class DaysToCompute:
    """Days to compute again, and the transaction to do it in.

    :param days: in order, in the zone of ``time_entry_facts``.
    """

    days: tuple[date, ...]
    _session: Session | None

    @property
    def session(self) -> Session:
        """The transaction: ``session.run(sql, parameters)`` runs a statement in the schema and returns its rows.

        :raises ConfigurationError: this engine's transactions run no statements of yours.
        """
        if self._session is None:
            raise ConfigurationError(
                "The warehouse is a table store (such as Iceberg or Snowflake), whose transactions run only this "
                "package's own statements. Compute the days with the engine's own hook inside the block, in a way that "
                "may be repeated: the cursor is stored when the block ends."
            )
        return self._session


def find_changed_days(
    since: int = 0, *, workspace_id: int | None = None, warehouse_conn_id: str = DEFAULT_CONN_ID, schema: str = "toggl"
) -> ChangedDays:
    """Return the days whose time entries changed since an earlier result, and the cursor for the next call.

    No day is missed, however late you ask, even if asset events were lost. Store the cursor with what you computed. If
    that is in the warehouse too, :func:`compute_changed_days` does so for you. The call waits for a running load.

    :param since: the cursor of the earlier result; 0: every day that has, or had, entries.
    :param workspace_id: only days of this workspace.
    """
    since = required(partial(parse_whole, minimum=0))("since", since)
    workspace_id = parse_id("workspace_id", workspace_id)
    with open_warehouse(warehouse_conn_id, schema=schema) as warehouse, warehouse.transaction() as session:
        found = find_days(session, since, workspace_id)
    report_tables_read(warehouse_conn_id, schema, ["time_entries"])
    return found


@contextmanager
def compute_changed_days(
    reader: str, *, workspace_id: int | None = None, warehouse_conn_id: str = DEFAULT_CONN_ID, schema: str = "toggl"
) -> Iterator[DaysToCompute]:
    """Yield the days that changed since the last block of this reader that ended without an error.

    One transaction stores both what you computed and the reader's cursor; an error rolls both back. So no day is
    missed, and none is computed twice without a change. No load can commit meanwhile, so send mails or draw charts
    after the block::

        with compute_changed_days("my_report") as changed:
            for day in changed.days:
                changed.session.run("delete from my_report where day = ?", [day])
                changed.session.run("insert into my_report select … where local_date = ?", [day])

    :param reader: a name that only this computation uses. A new one begins with every day, and so does one that is used
        for another workspace.
    :param workspace_id: only days of this workspace.
    """
    reader = required(parse_text)("reader", reader)
    workspace_id = parse_id("workspace_id", workspace_id)
    scope = f"reader:{reader}" if workspace_id is None else f"reader:{reader}?workspace_id={workspace_id}"
    with open_warehouse(warehouse_conn_id, schema=schema) as warehouse, warehouse.transaction() as session:
        found = find_days(session, find_offset(session, scope).seq, workspace_id)
        yield DaysToCompute(found.days, session if warehouse.runs_own_statements else None)
        if found.days:
            store_offset(session, scope, DayOffset(found.cursor), datetime.now(timezone.utc))
    report_tables_read(warehouse_conn_id, schema, ["time_entries"])
