"""Snowflake's words for tables and views. All names are upper case, so that people need not quote them."""

from __future__ import annotations

import re

from airflow_provider_toggl.core.load.engines.dialect import ZONE_JOIN, Dialect, FactColumns, quote
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.engines.table_store.views import build_views

TEXT_LIMIT = 4_194_304
"""A VARCHAR has 16 MB, and a character up to 4 bytes."""

# ARRAY_AGG leaves nulls out, but a tag that is not known must keep its place in the list. FLATTEN must not be on the
# left of an outer join.
_TAG_NAMES = """left join (
        select tagged."id", array_agg(coalesce(to_variant(tag."name"), parse_json('null')))
            within group (order by tagged."place") as "names"
        from (
            select entry."id", listed.index as "place", listed.value::number(19, 0) as "tag_id"
            from "time_entries" as entry, lateral flatten(input => entry."tag_ids") as listed
        ) as tagged left join "tags" as tag on tag."id" = tagged."tag_id"
        group by tagged."id"
    ) as tag on tag."id" = entry."id\""""

SNOWFLAKE = Dialect(
    name="Snowflake",
    types={
        "bigint": "number(19, 0)",
        "boolean": "boolean",
        "text": "varchar",
        "double": "float",
        "timestamp": "timestamp_tz(6)",
        "date": "date",
        "bigint_list": "array",
        # A VARIANT forgets how a text was written, so that an unchanged row would seem to have changed.
        "json": "varchar",
        "word": "varchar",
        "key": "varchar",
    },
    facts=FactColumns(
        local_date='cast(convert_timezone(zone."value", entry."start") as date)',
        tag_names='coalesce(tag."names", iff(entry."tag_ids" is null, null, array_construct()))',
        joins=f"{ZONE_JOIN}\n    {_TAG_NAMES}",
    ),
    instant_text='to_char({0}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')',
    has_zones=True,
    has_named_windows=False,
    text_limit=TEXT_LIMIT,
)

_QUOTED = re.compile(r'"[a-z_]+"')
_VIEW = re.compile(r'^\s*create or replace view ("\w+") as')


def upper_names(sql: str) -> str:
    """Return a statement of this package with its quoted names in upper case."""
    return _QUOTED.sub(lambda name: name[0].upper(), sql)


def name_of(name: str) -> str:
    """Return a name of a table or column of this package as statements write it."""
    return quote(name.upper())


def create_tables() -> list[str]:
    """Return the statements that create the tables; each may come twice, from several sessions at once."""
    return [_create_table(table) for table in STORED_TABLES.values()]


def _create_table(table: StoredTable) -> str:
    # Keys are declared for people and tools: Snowflake does not enforce them.
    columns = [
        f"{name_of(column.name)} {SNOWFLAKE.types[column.type]}{' not null' if column.name in table.key else ''}"
        for column in table.columns
    ]
    key = [f"primary key ({', '.join(map(name_of, table.key))})"] if table.key else []
    return f"create table if not exists {name_of(table.name)} ({', '.join(columns + key)})"


def add_columns(existing: frozenset[tuple[str, str]]) -> list[str]:
    """Return the statements that add the columns that tables of an earlier version lack.

    :param existing: pairs of table and column, as Snowflake names them.
    """
    return [
        f"alter table {name_of(table.name)} add column if not exists {name_of(column.name)} "
        f"{SNOWFLAKE.types[column.type]}"
        for table in STORED_TABLES.values()
        for column in table.columns
        if (table.name.upper(), column.name.upper()) not in existing
    ]


def create_all_views() -> list[str]:
    """Return the statements that create the views, or replace them and keep what was granted on them."""
    views = map(upper_names, build_views(SNOWFLAKE).values())
    return [_VIEW.sub(r"create or replace view \1 copy grants as", view) for view in views]
