"""The views ``live_time_entries`` and ``time_entry_facts``, written for a dialect."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.load.queries import load_queries

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.engines.dialect import Dialect


def create_views(dialect: Dialect) -> list[str]:
    """Return the statements that create the views."""
    words = {"create_view": dialect.create_view, **asdict(dialect.facts)}
    return [statement.format(**words) for statement in load_queries("tables/views").values()]
