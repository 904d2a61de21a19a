"""Which tables of a warehouse a query reads, for lineage."""

from __future__ import annotations

import re

from airflow_provider_toggl.core.load.tables.schemas import TABLES, VERSIONS

VIEWS: dict[str, tuple[str, ...]] = {
    "live_time_entries": ("time_entries",),
    "time_entry_facts": ("clients", "projects", "tags", "tasks", "time_entries", "users"),
    "time_entry_amounts": ("rates", "time_entries"),
    "time_entry_amount_differences": ("rates", "time_entries"),
    "time_entry_changes": ("time_entries", VERSIONS.name),
    "time_entry_history": ("clients", "projects", "time_entries", VERSIONS.name, "users"),
}
"""The views, with the tables that they read."""

_NO_CODE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = r'(?:"[^"]+"|\w+)'
_NAME = rf"{_WORD}(?:\s*\.\s*{_WORD})*"
_ALIAS = rf"(?:\s+(?:as\s+)?{_WORD})?"
_SOURCES = re.compile(rf"\b(?:from|join)\s+({_NAME}(?:{_ALIAS}\s*,\s*{_NAME})*)", re.IGNORECASE)


def find_tables_read(sql: str, schema: str) -> list[str]:
    """Return which tables of the streams and of versions a query reads, by itself or through a view.

    It looks for names after ``from`` and ``join`` and does not parse the query: a name that the query defines itself,
    in a ``with``, counts as the table of that name.

    :param schema: the schema of the tables; a name in another schema is another table.
    :return: sorted names.
    """
    found: set[str] = set()
    for sources in _SOURCES.finditer(_NO_CODE.sub(" ", sql)):
        for source in re.finditer(rf"(?:^|,)\s*({_NAME})", sources[1]):
            *_, place, name = ["", *(word.strip('"').lower() for word in re.findall(_WORD, source[1]))]
            if place in ("", schema.lower()):
                found |= {name, *VIEWS.get(name, ())}
    return sorted(found & {*TABLES, VERSIONS.name})
