"""The merge rule as SQL, built for a table and a dialect; nothing here talks to a database.

The rule: of all observations of a row, its own fields come from the one with the greatest ``(updated_at,
observed_at)``; among equal ones, from the one whose content has the greatest digest. ``seen_at``, ``deleted_at`` and
``absent_at`` are maxima. A maximum does not depend on the order or number of observations. So the stored row is
compared with incoming ones in the same way as they are with each other.

Names are not qualified: the engine makes the schema the current one. No statement names a temporary table twice, which
MySQL refuses.
"""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``schemas`` and constants of this
# module
from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_toggl.core.load.engines.dialect import Dialect, quote
from airflow_provider_toggl.core.load.tables.schemas import KEY, MAXIMA, VERSION, Column, TableSchema

INCOMING = "toggl_incoming"
"""The staged rows that are to be merged."""

UNIQUE = "toggl_unique"
"""One row for each key, of staged rows that have keys twice."""

STORED = "toggl_stored"
"""The stored rows with those keys."""

MERGED = "toggl_merged"
"""The merged rows that are new, or differ from the stored ones."""

_KEY = quote(KEY)


def names_of(columns: tuple[Column, ...]) -> str:
    """Return the quoted names of columns, separated by commas."""
    return ", ".join(quote(column.name) for column in columns)


def create_table(table: TableSchema, dialect: Dialect, start: str = "create table if not exists") -> str:
    """Return the statement that creates a table."""
    definitions = ", ".join(
        f"{quote(column.name)} {dialect.types[column.type]}"
        + (" not null" if column.name in (KEY, "workspace_id", "observed_at") else "")
        + (" primary key" if column.name == KEY else "")
        for column in table.columns
    )
    return f"{start} {quote(table.name)} ({definitions})"


def create_incoming(table: TableSchema, dialect: Dialect, after: str = "") -> str:
    """Return the statement that creates the staging table, for engines that cannot query rows in memory."""
    columns = [f"{quote(column.name)} {dialect.types[column.type]}" for column in table.columns]
    definitions = ", ".join([*columns, dialect.row_key] if dialect.row_key else columns)
    options = f" {dialect.table_options}" if dialect.table_options else ""
    return f"create temporary table {INCOMING} ({definitions}){options}{after}"


def count_rows(table: TableSchema) -> str:
    """Return the query of a table's number of rows."""
    return f"select count(*) from {quote(table.name)}"


def find_between(table: TableSchema) -> str:
    """Return the query of one row with a key in a range. Parameters: the first and the last key."""
    return f"select {_KEY} from {quote(table.name)} where {_KEY} between ? and ? limit 1"


def find_keys(table: TableSchema, keys: Iterable[int]) -> str:
    """Return the query of one row with any of some keys."""
    return f"select {_KEY} from {quote(table.name)} where {_KEY} in ({', '.join(map(str, keys))}) limit 1"


def insert_new(table: TableSchema, dialect: Dialect) -> str:
    """Return the statement that inserts staged rows whose keys are unique and not stored."""
    values = ", ".join(dialect.cast.format(quote(c.name), dialect.types[c.type]) for c in table.columns)
    return f"insert into {quote(table.name)} ({names_of(table.columns)}) select {values} from {INCOMING}"


def insert_values(table: TableSchema) -> str:
    """Return the statement that inserts one row, its values as parameters."""
    marks = ", ".join("?" for _ in table.columns)
    return f"insert into {quote(table.name)} ({names_of(table.columns)}) values ({marks})"


def pick_unique(table: TableSchema, dialect: Dialect) -> str:
    """Return the statement that creates ``UNIQUE`` from the staged rows."""
    updated, observed = map(quote, VERSION)
    names = names_of(table.columns)
    carried = ", ".join(quote(column.name) for column in table.columns if column.name not in MAXIMA)
    maxima = ", ".join(f"max({name}) over (partition by {_KEY}) as {name}" for name in map(quote, MAXIMA))
    return f"""
{dialect.temporary.format(UNIQUE)}
select {names}
from (
    select {carried}, {maxima}, row_number() over (
        partition by {_KEY} order by case when {updated} is null then 1 else 0 end, {updated} desc,
            {observed} desc, digest desc
    ) as place
    from (
        select {names}, case when count(*) over (partition by {_KEY}, {updated}, {observed}) > 1
            then {digest(table, dialect)} end as digest
        from {INCOMING}
    ) as digested
) as placed
where place = 1
"""


def copy_stored(table: TableSchema, dialect: Dialect, source: str) -> str:
    """Return the statement that creates ``STORED``: the stored rows whose keys are in the source."""
    return (
        f"{dialect.temporary.format(STORED)} select {names_of(table.columns)} from {quote(table.name)} "
        f"where {_KEY} in (select {_KEY} from {source})"
    )


def merge_with_stored(table: TableSchema, dialect: Dialect, source: str) -> str:
    """Return the statement that creates ``MERGED``: rows that are new, or differ from the stored ones.

    A row that was only seen again is merged too, but does not count as changed. ``is_other`` says whether it has other
    fields than before, ``was_live`` whether it was live.
    """
    won = ", ".join(
        f"{dialect.cast.format(f'case when wins = 1 then i_{c.name} else s_{c.name} end', dialect.types[c.type])} "
        f"as {quote(c.name)}"
        for c in table.columns
        if c.name not in MAXIMA
    )
    maxima = ", ".join(f"{_later(f'i_{name}', f's_{name}')} as {quote(name)}" for name in MAXIMA)
    sides = ", ".join(f"{side}.{quote(c.name)} as {side}_{c.name}" for side in "is" for c in table.columns)
    moved = " or ".join(f"i_{name} is not null and (s_{name} is null or i_{name} > s_{name})" for name in MAXIMA)
    changed = dialect.same_values(f"i.{quote(VERSION[0])}", f"s.{quote(VERSION[0])}", "timestamp")
    return f"""
{dialect.temporary.format(MERGED)}
select {won}, {maxima}, is_stored, case when wins = 1 and is_same = 0 then 1 else 0 end as is_other, was_live
from (
    select {sides}, case when s.{_KEY} is null then 0 else 1 end as is_stored,
        case when s.{_KEY} is null or ({_wins(table, dialect)}) then 1 else 0 end as wins,
        case when {_same(table, dialect)} and {changed} then 1 else 0 end as is_same,
        case when {is_live("s")} then 1 else 0 end as was_live
    from {source} as i left join {STORED} as s on s.{_KEY} = i.{_KEY}
) as compared
where wins = 1 or {moved}
"""


def _later(one: str, other: str) -> str:
    """Return the expression of the greater of two values, each of which may be null."""
    return f"case when {one} is null or {other} > {one} then {other} else {one} end"


def _wins(table: TableSchema, dialect: Dialect) -> str:
    """Return the condition that ``i`` wins over ``s``; digests are computed for true ties only."""
    updated, observed = map(quote, VERSION)
    is_equal = dialect.same_values(f"i.{updated}", f"s.{updated}", "timestamp")
    return (
        f"case when not ({is_equal}) "
        f"then case when s.{updated} is null or i.{updated} > s.{updated} then 1 else 0 end "
        f"when i.{observed} <> s.{observed} then case when i.{observed} > s.{observed} then 1 else 0 end "
        f"when {_same(table, dialect)} then 0 "
        f"when {digest(table, dialect, 'i')} > {digest(table, dialect, 's')} then 1 else 0 end = 1"
    )


def _same(table: TableSchema, dialect: Dialect) -> str:
    """Return the condition that ``i`` and ``s`` have equal fields."""
    pairs = ((f"i.{quote(column.name)}", f"s.{quote(column.name)}", column.type) for column in table.own)
    return " and ".join(dialect.same_values(*pair) for pair in pairs)


def count_merged() -> str:
    """Return the query of how many merged rows are new, and how many others changed."""
    return f"select count(case when is_stored = 0 then 1 end), count(case when {is_changed()} then 1 end) from {MERGED}"


def is_changed(alias: str = "") -> str:
    """Return the condition that a merged row has other fields than the stored one, or became live or not live."""
    return f"is_stored = 1 and (is_other = 1 or was_live <> case when {is_live(alias)} then 1 else 0 end)"


def find_changed() -> str:
    """Return the query of time entries that are new or changed: key, workspace, start now and start before."""
    return (
        f'select m.{_KEY}, m."workspace_id", m."start", s."start" as old_start '
        f"from {MERGED} as m left join {STORED} as s on s.{_KEY} = m.{_KEY} where is_stored = 0 or ({is_changed('m')})"
    )


def digest(table: TableSchema, dialect: Dialect, alias: str = "") -> str:
    """Return the expression of a digest of a row's own fields, the same on each engine.

    Each value is preceded by its length, so that different contents never join to the same text.
    """
    texts = []
    for column in table.own:
        value = f"{alias}.{quote(column.name)}" if alias else quote(column.name)
        text = dialect.text_of(value, column.type)
        size = dialect.text.format(dialect.length.format(text))
        texts.append(f"coalesce({size} || ':' || {text}, '-')")
    return f"md5({' || '.join(texts)})"


def put_merged(table: TableSchema, dialect: Dialect) -> tuple[str, ...]:
    """Return the statements that store the merged rows."""
    names, name = names_of(table.columns), quote(table.name)
    insert = f"insert into {name} ({names}) select {names} from {MERGED}"
    others = [quote(column.name) for column in table.columns if column.name != KEY]
    if dialect.upsert == "conflict":
        updates = ", ".join(f"{other} = excluded.{other}" for other in others)
        return (f"{insert} where true on conflict ({_KEY}) do update set {updates}",)
    if dialect.upsert == "duplicate":
        updates = ", ".join(f"{other} = {MERGED}.{other}" for other in others)
        return (f"{insert} on duplicate key update {updates}",)
    return (f"delete from {name} where {_KEY} in (select {_KEY} from {MERGED} where is_stored = 1)", insert)


def is_live(alias: str = "") -> str:
    """Return the condition that a row is live."""
    at = f"{alias}." if alias else ""
    return (
        f'({at}"seen_at" is not null and ({at}"deleted_at" is null or {at}"seen_at" > {at}"deleted_at") '
        f'and ({at}"absent_at" is null or {at}"seen_at" > {at}"absent_at"))'
    )


def count_live(table: TableSchema) -> str:
    """Return the query of the number of a workspace's live rows, and of those that were not seen since an instant.

    Parameters: the instant, the workspace.
    """
    return (
        f'select count(*), count(case when "seen_at" < ? then 1 end) from {quote(table.name)} '
        f'where "workspace_id" = ? and {is_live()}'
    )


def find_missing(table: TableSchema) -> str:
    """Return the query of a workspace's live time entries that were not seen since an instant.

    It has the columns of ``find_changed``. Parameters: the instant, the workspace.
    """
    return (
        f'select {_KEY}, "workspace_id", "start", "start" as old_start from {quote(table.name)} '
        f'where "seen_at" < ? and "workspace_id" = ? and {is_live()}'
    )


def mark_absent(table: str) -> str:
    """Return the statement that marks the rows absent that the latest complete list of their workspace lacked.

    In ``MERGED``, these are late rows: an observation from before a complete list must not bring back a row that the
    list lacked. Parameters: the stream, twice.
    """
    name = quote(table)
    found = f'from "complete_lists" as l where l."stream" = ? and l."workspace_id" = {name}."workspace_id"'
    return (
        f'update {name} set "absent_at" = (select l."complete_at" {found}) where exists (select 1 {found} '
        f'and ({name}."seen_at" is null or {name}."seen_at" < l."complete_at") '
        f'and ({name}."absent_at" is null or {name}."absent_at" < l."complete_at"))'
    )
