"""The SQL of the history of time entries, built for a dialect; nothing here talks to a database."""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``schemas`` and constants of this
# module
from __future__ import annotations

from airflow_provider_toggl.core.load.engines.dialect import Dialect, quote
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import HISTORY_FIELDS, KEY, VERSIONS

EARLIEST = ("workspace_id", "first_observed_at", "told_at", "told_as", "actor_id")
LATEST = ("last_observed_at",)

_INDEX = quote(f"{VERSIONS.name}_entry")
_ORDER = '"updated_at", "last_observed_at", "is_gone", "id"'
_SILENT = (
    'coalesce("told_at", case when "first_observed_at" > "last_seen_before" then "first_observed_at" '
    'else "last_seen_before" end)'
)


def create_tables(dialect: Dialect) -> list[str]:
    """Return the statements that create the table of versions and the views over it."""
    return [_create_versions(dialect), *_create_index(dialect), create_changes(dialect), create_history(dialect)]


def _create_versions(dialect: Dialect) -> str:
    statement = rule.create_table(VERSIONS, dialect)
    if not dialect.has_version_key:
        return statement.replace(" primary key", "")
    if dialect.version_index == "inline":
        return f"{statement.removesuffix(')')}, index {_INDEX} ({quote('time_entry_id')}))"
    return statement


def _create_index(dialect: Dialect) -> list[str]:
    if dialect.version_index != "statement":
        return []
    return [f"create index if not exists {_INDEX} on {quote(VERSIONS.name)} ({quote('time_entry_id')})"]


def merge_versions(dialect: Dialect) -> tuple[str, ...]:
    """Return the statements that merge the staged versions, each of which is staged once, with the stored ones."""
    put = rule.put_merged(VERSIONS, dialect) if dialect.has_version_key else _put_in_place()
    return (_find_merged(dialect), *put, dialect.drop_temporary.format(rule.MERGED))


def _put_in_place() -> tuple[str, ...]:
    """Return the statements that update what can change of a version; deleting and inserting takes twice the time."""
    name, names = quote(VERSIONS.name), rule.names_of(VERSIONS.columns)
    values = ", ".join(f"{quote(column)} = m.{quote(column)}" for column in (*EARLIEST, *LATEST))
    return (
        f"update {name} as v set {values} from {rule.MERGED} as m where m.{KEY} = v.{KEY} and m.is_stored = 1",
        f"insert into {name} ({names}) select {names} from {rule.MERGED} where is_stored = 0",
    )


def _find_merged(dialect: Dialect) -> str:
    columns = []
    for column in VERSIONS.columns:
        name, value = quote(column.name), f"i.{quote(column.name)}"
        if column.name in (*EARLIEST, *LATEST):
            value = f"case when s.{name} is null or {_moves(column.name)} then i.{name} else s.{name} end"
        columns.append(f"{dialect.cast.format(value, dialect.types[column.type])} as {name}")
    moved = " or ".join(
        f"(i.{quote(name)} is not null and (s.{quote(name)} is null or {_moves(name)}))"
        for name in (*EARLIEST, *LATEST)
    )
    return f"""
{dialect.temporary.format(rule.MERGED)}
select {", ".join(columns)}, case when s.{KEY} is null then 0 else 1 end as is_stored
from {rule.INCOMING} as i left join {quote(VERSIONS.name)} as s on s.{KEY} = i.{KEY}
where s.{KEY} is null or {moved}
"""


def _moves(name: str) -> str:
    return f"i.{quote(name)} {'>' if name in LATEST else '<'} s.{quote(name)}"


def read_stored(columns: tuple[str, ...], limit: int) -> str:
    """Return the query of stored time entries in the order of ids. Parameter: the id to begin after."""
    names = ", ".join(quote(name) for name in columns)
    return f"select {names} from {quote('time_entries')} where {KEY} > ? order by {KEY} limit {limit}"


def create_changes(dialect: Dialect) -> str:
    """Return the statement of the view of what changed from each version to the next.

    Points (states and disappearances) are ordered by ``(updated_at, last_observed_at)``, as the merge rule orders
    observations, so the last state of an entry is the one in its row. A disappearance comes after all states of the
    same moment. Several disappearances in a row count as one, with the most specific reason.

    Each step is named once, so that engines can look up one entry without computing all of them.
    """
    return f"""
{dialect.create_view} "time_entry_changes" as
with points as ({_points()}),
ordered as ({_ordered(dialect)}),
described as ({_described()}),
pairs as ({_pairs(dialect)})
select "time_entry_id", "workspace_id", "step", "kind", "field", "old_value", "new_value", "changed_at", "changed_by",
    "observed_at"
from pairs
where "kind" <> 'updated'
    or "old_value" is null and "new_value" is not null
    or "old_value" is not null and "new_value" is null
    or not ({dialect.same_text.format('"old_value"', '"new_value"')})
"""


def _points() -> str:
    names = ", ".join(quote(column.name) for column in VERSIONS.columns if column.name != "kind")
    kinds = """ "kind" as "point", case when "kind" = 'state' then 0 else 1 end as "is_gone" """
    return f"select {names}, {kinds} from {quote(VERSIONS.name)}"


def _ordered(dialect: Dialect) -> str:
    """Return the points, each with the point and the state before it."""
    by_entry = f'partition by "time_entry_id" order by {_ORDER}'
    by_state = f'partition by "time_entry_id", "is_gone" order by {_ORDER}'
    of_entry, of_state, so_far = "by_entry", "by_state", "by_entry rows unbounded preceding"
    named = f"window by_entry as ({by_entry}),\n        by_state as ({by_state})"
    if not dialect.has_named_windows:
        of_entry, of_state, named = f"({by_entry})", f"({by_state})", ""
        so_far = by_entry + " rows between unbounded preceding and current row"
    carried = ", ".join(f"lag(p.{quote(c.name)}) over {of_state} as {quote('old_' + c.name)}" for c in HISTORY_FIELDS)
    return f"""
    select p.*, {carried},
        lag(p."id") over {of_state} as "old_id",
        lag(p."updated_at") over {of_state} as "old_updated_at",
        lag(p."last_observed_at") over {of_state} as "last_seen_before",
        lag(p."is_gone") over {of_entry} as "was_gone",
        row_number() over {of_entry} as "place",
        case when lead(p."id") over {of_entry} is null then 1 else 0 end as "is_last",
        sum(1 - p."is_gone") over ({so_far}) as "stretch"
    from points as p
    {named}
"""


def _described() -> str:
    """Return the points with the change that each is: its kind, when, by whom, and when it was observed."""
    group = 'over (partition by "time_entry_id", "stretch", "is_gone")'
    deleted = f"""min(case when "point" = 'deleted' then "last_observed_at" end) {group}"""
    return f"""
    select o.*,
        case when "is_gone" = 1 and coalesce("was_gone", 0) = 0 then max("point") {group}
            when "is_gone" = 1 then null
            when "was_gone" = 1 then 'restored'
            when "old_id" is not null then null
            when "told_as" = 'created' then 'created'
            else 'found' end as "kind",
        case when "is_gone" = 1 then coalesce({deleted}, "last_observed_at")
            when "updated_at" = "old_updated_at" then {_SILENT}
            else "updated_at" end as "changed_at",
        case when "is_gone" = 1 then min("actor_id") {group} else "actor_id" end as "changed_by",
        "first_observed_at" as "observed_at"
    from ordered as o
"""


def _pairs(dialect: Dialect) -> str:
    """Return the rows of each change: the change itself, that an entry is back, and each field before and after."""

    def texts(prefix: str) -> str:
        cases = " ".join(
            f"when '{c.name}' then {_text_of(dialect, 't.' + quote(prefix + c.name), c.type)}" for c in HISTORY_FIELDS
        )
        return f"case f.name {cases} end"

    names = ("", _BACK, *(column.name for column in HISTORY_FIELDS))
    fields = " union all ".join(f"select '{name}' as name" for name in names)
    is_back = f"e.{KEY} is not null and {rule.is_live('e')}"
    return f"""
    select t."time_entry_id" as "time_entry_id", t."workspace_id" as "workspace_id",
        case f.name when '{_BACK}' then t."place" + 1 else t."place" end as "step",
        case f.name when '' then t."kind" when '{_BACK}' then 'restored' else 'updated' end as "kind",
        case when f.name not in ('', '{_BACK}') then f.name end as "field",
        {texts("old_")} as "old_value", {texts("")} as "new_value",
        case when f.name <> '{_BACK}' then t."changed_at" end as "changed_at",
        case when f.name <> '{_BACK}' then t."changed_by" end as "changed_by",
        case when f.name <> '{_BACK}' then t."observed_at" else e."seen_at" end as "observed_at"
    from described as t
        left join "time_entries" as e on e.{KEY} = t."time_entry_id" and t."is_last" = 1 and t."is_gone" = 1
        cross join ({fields}) as f
    where case f.name when '' then case when t."kind" is not null then 1 else 0 end
        when '{_BACK}' then case when {is_back} then 1 else 0 end
        else case when t."is_gone" = 0 and t."old_id" is not null then 1 else 0 end end = 1
"""


_BACK = "seen again"


def _text_of(dialect: Dialect, value: str, type_: str) -> str:
    if type_ == "timestamp":
        return (dialect.instant_text or dialect.text).format(value)
    return value if type_ in ("text", "bigint_list") else dialect.text_of(value, type_)


def create_history(dialect: Dialect) -> str:
    """Return the statement of the view of changes with names."""
    return f"""
{dialect.create_view} "time_entry_history" as
select
    c."time_entry_id",
    c."workspace_id",
    c."step",
    c."kind",
    c."field",
    c."old_value",
    c."new_value",
    c."changed_at",
    c."changed_by",
    author."fullname" as "changed_by_name",
    c."observed_at",
    entry."user_id",
    person."fullname" as "user_name",
    project."client_id",
    client."name" as "client_name",
    entry."project_id",
    project."name" as "project_name",
    entry."description",
    entry."start"
from "time_entry_changes" as c
    left join "time_entries" as entry on entry."id" = c."time_entry_id"
    left join "users" as author on author."id" = c."changed_by"
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
"""
