"""GoogleSQL: the words of the views, and statements of other engines' form as BigQuery takes them."""

from __future__ import annotations

import re
from collections.abc import Callable

from airflow_provider_toggl.core.load.engines.dialect import ZONE_JOIN, Dialect, FactColumns
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.engines.table_store.views import build_views

# Not a subquery in the row: BigQuery refuses most correlated subqueries that read another table.
_TAG_NAMES = """left join (
        select tagged."id", array_agg(coalesce(tag."name", '') order by "place") as "names"
        from "time_entries" as tagged
            cross join unnest(json_value_array(tagged."tag_ids")) as "tag_id" with offset as "place"
            left join "tags" as tag on tag."id" = cast("tag_id" as int64)
        group by tagged."id"
    ) as named on named."id" = entry."id\""""

BIGQUERY = Dialect(
    name="BigQuery",
    types={
        "bigint": "int64",
        "boolean": "bool",
        "text": "string",
        "double": "float64",
        "timestamp": "timestamp",
        "date": "date",
        # An array cannot be null in a table, and a list that is not known must not become an empty one.
        "bigint_list": "string",
        # Not json, which has its own order of keys: a text must stay what it was.
        "json": "string",
        "word": "string",
        "key": "string",
    },
    facts=FactColumns(
        local_date='date(entry."start", zone."value")',
        tag_names='named."names"',
        hours='entry."duration" / 3600.0',
        amount='cast(cast(entry."billable_amount_cents" as numeric) / 100 as numeric)',
        joins=f"{ZONE_JOIN}\n    {_TAG_NAMES}",
    ),
    text="cast({0} as string)",
    length="char_length({0})",
    instant_text="format_timestamp('%Y-%m-%dT%H:%M:%SZ', {0}, 'UTC')",
    has_zones=True,
)

_TOKEN = re.compile(
    r"""
    (?:'{3}.*?'{3} | '(?:[^'\\]|\\.)*' | `[^`]*` | --[^\n]* | \#[^\n]* | /\*.*?\*/)
    | "(?P<name>(?:[^"]|"")*)"
    """,
    re.DOTALL | re.VERBOSE,
)


def translate(sql: str, rename: Callable[[str], str] | None = None) -> str:
    """Return a statement with its double-quoted identifiers in backticks; texts and comments stay as they are.

    :param rename: returns what stands for an identifier, without backticks.
    """

    def replace(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return found[0]
        name = name.replace('""', '"')
        return quote(rename(name) if rename else name)

    return _TOKEN.sub(replace, sql)


def quote(name: str) -> str:
    """Return an identifier in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def create_all_views(dataset: str) -> list[str]:
    """Return the statements that create the views, or replace them.

    :param dataset: project and dataset, with a point between them: a view must name its tables with both.
    """
    views = build_views(BIGQUERY)
    names = {*STORED_TABLES, *views}
    return [translate(sql, lambda name: f"{dataset}.{name}" if name in names else name) for sql in views.values()]
