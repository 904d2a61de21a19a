"""The merge rule as SQL text, built for a table and a dialect. Pure: nothing here talks to a database.

The rule: of all that was ever observed of a row, its own fields come from the observation with the greatest
``(updated_at, observed_at)``, and of equal ones from that whose content has the greatest digest; ``seen_at``,
``deleted_at`` and ``absent_at`` are maxima. A maximum does not ask in which order or how often things came, so what is
stored is one more rival of what comes in, and winning over it is the same comparison.

Names are not qualified: a target makes its schema the current one.
"""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``schemas`` and constants of this
# module
from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_toggl.core.land.schemas import KEY, MAXIMA, VERSION, Column, TableSchema

INCOMING = "toggl_incoming"
"""The name that a target gives to the rows to be merged."""

UNIQUE = "toggl_unique"
"""Where one row a key is kept of incoming rows that have keys twice."""

STORED = "toggl_stored"
MERGED = "toggl_merged"
TEMPORARY = (UNIQUE, STORED, MERGED)


@dataclass(frozen=True)
class Dialect:
    """What differs between engines.

    :param types: the engine's type for each neutral one.
    :param epoch: an expression of microseconds since 1970 of ``{0}``, an instant.
    """

    types: dict[str, str]
    epoch: str


def quote(name: str) -> str:
    """Return an identifier as SQL wants it; all are quoted, since ``at`` is a word of DuckDB's own."""
    return '"' + name.replace('"', '""') + '"'


def _names(columns: tuple[Column, ...], prefix: str = "") -> str:
    return ", ".join(prefix + quote(column.name) for column in columns)


def _typed(table: TableSchema, dialect: Dialect) -> str:
    return ", ".join(
        f"cast({quote(column.name)} as {dialect.types[column.type]}) as {quote(column.name)}"
        for column in table.columns
    )


def create_table(table: TableSchema, dialect: Dialect) -> str:
    """Return the statement that makes a stream's table where there is none."""
    definitions = ", ".join(
        f"{quote(column.name)} {dialect.types[column.type]}"
        + (" primary key" if column.name == KEY else "")
        + (" not null" if column.name in ("workspace_id", "observed_at") else "")
        for column in table.columns
    )
    return f"create table if not exists {quote(table.name)} ({definitions})"


def count_rows(table: TableSchema) -> str:
    """Return the query of a stream's number of rows."""
    return f"select count(*) from {quote(table.name)}"


def count_incoming(table: TableSchema) -> str:
    """Return the query of: how many different keys come in, and how many of them are stored."""
    return (
        f"select count(distinct {KEY}), (select count(*) from {quote(table.name)} "
        f"where {KEY} in (select {KEY} from {INCOMING})) from {INCOMING}"
    )


def insert_new(table: TableSchema, dialect: Dialect) -> str:
    """Return the statement for rows of which no key comes twice and none is stored: there are no rivals."""
    return f"insert into {quote(table.name)} ({_names(table.columns)}) select {_typed(table, dialect)} from {INCOMING}"


def pick_unique(table: TableSchema, dialect: Dialect) -> str:
    """Return the statement that keeps one row a key of incoming rows that have keys twice."""
    updated, observed = VERSION
    carried = ", ".join(quote(column.name) for column in table.columns if column.name not in MAXIMA)
    maxima = ", ".join(f"max({name}) over (partition by {KEY}) as {name}" for name in MAXIMA)
    return f"""
create temporary table {UNIQUE} as
select {_names(table.columns)}
from (
    select {carried}, {maxima}, row_number() over (
        partition by {KEY} order by {updated} desc nulls last, {observed} desc, digest desc
    ) as place
    from (
        select *, case when count(*) over (partition by {KEY}, {updated}, {observed}) > 1
            then {digest(table, dialect)} end as digest
        from {INCOMING}
    ) as digested
) as placed
where place = 1
"""


def copy_stored(table: TableSchema, source: str) -> str:
    """Return the statement that copies the stored rows whose keys are in the source."""
    return (
        f"create temporary table {STORED} as select {_names(table.columns)} from {quote(table.name)} "
        f"where {KEY} in (select {KEY} from {source})"
    )


def merge_with_stored(table: TableSchema, dialect: Dialect, source: str) -> str:
    """Return the statement that makes the merged rows: those that are new, or not as they are stored.

    A row that is only seen again is merged too, but not ``is_changed``: nothing that a person would call a change.
    """
    won = ", ".join(
        f"cast(case when wins then (i).{name} else (s).{name} end as {dialect.types[column.type]}) as {name}"
        for column in table.columns
        if column.name not in MAXIMA
        for name in (quote(column.name),)
    )
    maxima = ", ".join(f"greatest((i).{name}, (s).{name}) as {name}" for name in MAXIMA)
    later = {name: f"((i).{name} is not null and ((s).{name} is null or (i).{name} > (s).{name}))" for name in MAXIMA}
    moved, deleted = " or ".join(later.values()), later["deleted_at"]
    return f"""
create temporary table {MERGED} as
select {won}, {maxima}, is_stored, (wins and is_other) or {deleted} as is_changed
from (
    select i, s, s.{KEY} is not null as is_stored, s.{KEY} is null or ({_wins(table, dialect)}) as wins,
        not ({_same(table)} and i.{VERSION[0]} is not distinct from s.{VERSION[0]}) as is_other
    from {source} as i left join {STORED} as s on s.{KEY} = i.{KEY}
) as compared
where wins or {moved}
"""


def _wins(table: TableSchema, dialect: Dialect) -> str:
    """Return the condition under which ``i`` wins over ``s``; the digest is taken of true ties only."""
    updated, observed = VERSION
    return (
        f"case when i.{updated} is distinct from s.{updated} "
        f"then s.{updated} is null or coalesce(i.{updated} > s.{updated}, false) "
        f"when i.{observed} <> s.{observed} then i.{observed} > s.{observed} "
        f"when {_same(table)} then false "
        f"else {digest(table, dialect, 'i')} > {digest(table, dialect, 's')} end"
    )


def _same(table: TableSchema) -> str:
    """Return the condition under which ``i`` and ``s`` say the same in their own fields."""
    return " and ".join(f"i.{quote(column.name)} is not distinct from s.{quote(column.name)}" for column in table.own)


def count_merged() -> str:
    """Return the query of how many merged rows are new, and how many of the others are changed."""
    return (
        f"select count(*) filter (where not is_stored), count(*) filter (where is_stored and is_changed) from {MERGED}"
    )


def digest(table: TableSchema, dialect: Dialect, alias: str = "") -> str:
    """Return the expression of a digest of a row's own fields, the same wherever the row is.

    Each value has its length before it, so that no two contents run together to the same text.
    """
    texts = []
    for column in table.own:
        value = f"{alias}.{quote(column.name)}" if alias else quote(column.name)
        text = dialect.epoch.format(value) if column.type == "timestamp" else value
        text = f"cast({text} as {dialect.types['text']})"
        texts.append(f"coalesce(cast(length({text}) as {dialect.types['text']}) || ':' || {text}, '-')")
    return f"md5({' || '.join(texts)})"


def delete_merged(table: TableSchema) -> str:
    """Return the statement that takes out the stored rows that winners replace."""
    return f"delete from {quote(table.name)} where {KEY} in (select {KEY} from {MERGED} where is_stored)"


def insert_merged(table: TableSchema) -> str:
    """Return the statement that puts the winners in."""
    names = _names(table.columns)
    return f"insert into {quote(table.name)} ({names}) select {names} from {MERGED}"


def drop_temporary(name: str) -> str:
    """Return the statement that drops a temporary table where there is one."""
    return f"drop table if exists {name}"


def is_live(alias: str = "") -> str:
    """Return the condition under which a row is live."""
    at = f"{alias}." if alias else ""
    return (
        f"({at}seen_at is not null and ({at}deleted_at is null or {at}seen_at > {at}deleted_at) "
        f"and ({at}absent_at is null or {at}seen_at > {at}absent_at))"
    )


def count_live(table: TableSchema) -> str:
    """Return the query of a workspace's live rows, and of how many of them were not seen since an instant.

    Parameters: the instant, the workspace.
    """
    return (
        f"select count(*), count(*) filter (where seen_at < ?) from {quote(table.name)} "
        f"where workspace_id = ? and {is_live()}"
    )


def mark_absent(table: TableSchema, only_incoming: bool = False) -> str:
    """Return the statement that marks the rows that the latest complete list of their workspace had not.

    Parameter: the stream. ``only_incoming`` limits it to keys that just came in: a late observation from before a
    complete list must not bring back what that list had not.
    """
    limit = f" and t.{KEY} in (select {KEY} from {INCOMING})" if only_incoming else ""
    name = quote(table.name)
    return (
        f"update {name} as t set absent_at = l.complete_at from complete_lists as l "
        f"where l.stream = ? and l.workspace_id = t.workspace_id "
        f"and (t.seen_at is null or t.seen_at < l.complete_at) "
        f"and (t.absent_at is null or t.absent_at < l.complete_at){limit}"
    )
