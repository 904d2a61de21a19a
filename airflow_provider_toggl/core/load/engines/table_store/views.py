"""The SQL that creates the views of a table store."""

from __future__ import annotations

from airflow_provider_toggl.core.load.engines.dialect import Dialect
from airflow_provider_toggl.core.load.merging.history_sql import create_changes, create_history
from airflow_provider_toggl.core.load.tables.amounts import create_amounts
from airflow_provider_toggl.core.load.tables.migrations import create_views


def build_views(dialect: Dialect) -> dict[str, str]:
    """Return the statement that creates each view, by its name. Each view comes after those that it reads."""
    views = (*create_views(dialect), *create_amounts(dialect), create_changes(dialect), create_history(dialect))
    # The first quoted word of a statement is the name of its view.
    return {view.split('"', 2)[1]: view for view in views}
