"""A dialect: the SQL words in which one engine differs from the others, and what it can and cannot do.

``merging`` and ``tables`` build their statements from these words; no code outside ``engines`` asks which engine it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ZONE_JOIN = (
    """cross join (select coalesce(max("value"), 'UTC') as "value" from "settings" where "key" = 'timezone') as zone"""
)
"""For engines with time zones: the zone of local dates as ``zone."value"``."""

OFFSETS_JOIN = 'left join "zone_offsets" as span on entry."start" >= span."begin_at" and entry."start" < span."end_at"'
"""For engines without time zones: the zone's offset from UTC at an entry's start as ``span."offset_seconds"``."""


def quote(name: str) -> str:
    """Return an identifier in double quotes. All are quoted, because ``at`` is a reserved word in DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def whole_number_text(integer: str, text: str) -> str:
    """Return the expression of a double's text that is the same on each engine: whole numbers have no ``.0``.

    :param integer: the type to cast whole numbers to.
    :param text: the type of the text.
    """
    return (
        f"case when abs({{0}}) < 1e15 then case when {{0}} = round({{0}}) "
        f"then cast(cast({{0}} as {integer}) as {text}) else cast({{0}} as {text}) end else cast({{0}} as {text}) end"
    )


NUMBER_AS_BOOLEAN_TEXT = "case {0} when 1 then 'true' when 0 then 'false' end"


@dataclass(frozen=True)
class FactColumns:
    """The expressions of the view ``time_entry_facts`` that differ; its time entry is ``entry``.

    :param local_date: the entry's start as a date in the settings' zone.
    :param tag_names: the names of the entry's tags, in the order of its ``tag_ids``.
    :param joins: what ``local_date`` and ``tag_names`` need beside the entry.
    """

    local_date: str
    tag_names: str = "cast(null as varchar(64))"
    hours: str = 'entry."duration" / 3600e0'
    amount: str = 'cast(entry."billable_amount_cents" / 100.0 as decimal(18, 2))'
    joins: str = OFFSETS_JOIN


@dataclass(frozen=True)
class Dialect:
    """An engine's words and abilities. In expressions, ``{0}`` and ``{1}`` stand for operands.

    A table store needs a dialect only for its views, because loads run in DuckDB: ``facts``, ``text``, ``texts``,
    ``instant_text``, ``same_text``, ``create_view`` and ``has_named_windows``. ``types`` is for its own statements. It
    has no table ``zone_offsets``, so its ``facts`` cannot use ``OFFSETS_JOIN``.

    :param name: the engine, as errors name it.
    :param types: the engine's type for each type of ``tables.schemas.Column``. ``word`` and ``key`` are short and
        longer texts that may be part of a primary key.
    :param facts: the expressions of ``time_entry_facts``.
    :param texts: the text of a value, by its type, for a digest; the same text on each engine.
    :param text: the text of a value of a type that ``texts`` does not name.
    :param length: the number of characters of a text.
    :param instant_text: an instant as RFC 3339 in UTC with whole seconds; None uses ``text``.
    :param cast: how an incoming value gets the column's type ``{1}``.
    :param same: a condition, never null, that two values are equal or both null.
    :param same_text: the same for texts, including case and trailing blanks.
    :param key_texts: types whose values are compared as texts.
    :param create_view: how a statement begins that creates a view, or replaces it where the engine can.
    :param temporary: how a statement begins that creates the temporary table ``{0}`` from a query.
    :param drop_temporary: the statement that drops the temporary table ``{0}`` if it exists.
    :param row_key: a column that numbers the rows of a temporary table, for servers that require a primary key.
    :param table_options: what follows the columns in a statement that creates a table.
    :param upsert: how merged rows replace stored ones: ``replace`` (delete and insert), ``conflict`` (``on conflict``)
        or ``duplicate`` (``on duplicate key``).
    :param add_key: how a table gets a primary key later: ``alter``, ``rename`` (fill a copy, rename it) or ``copy``
        (fill a copy, create the table again).
    :param has_version_key: whether ``time_entry_versions`` has a primary key; without one, versions that are seen
        again are updated in place.
    :param version_index: how versions are indexed by entry: ``inline`` (in ``create table``), ``statement`` or ``""``.
    :param has_zones: whether the engine computes local dates itself; else it joins the table ``zone_offsets``.
    :param has_named_windows: whether a query can name its windows.
    :param has_booleans: whether it has a type for booleans; else they are 1 and 0.
    :param has_nul: whether its texts can hold NUL characters.
    :param instants: how it takes instants: ``aware`` datetimes, ``naive`` ones (in UTC) or ``text``.
    :param rejected_limit: characters kept of a rejected record.
    :param text_limit: characters that a text, list or JSON column holds, None where there is no limit that matters.
    """

    name: str
    types: dict[str, str]
    facts: FactColumns
    texts: dict[str, str] = field(default_factory=dict)
    text: str = "cast({0} as varchar)"
    length: str = "length({0})"
    instant_text: str | None = None
    cast: str = "{0}"
    same: str = "{0} is not distinct from {1}"
    same_text: str = "{0} is not distinct from {1}"
    key_texts: tuple[str, ...] = ("text",)
    create_view: str = "create or replace view"
    temporary: str = "create temporary table {0} as"
    drop_temporary: str = "drop table if exists {0}"
    row_key: str = ""
    table_options: str = ""
    upsert: str = "replace"
    add_key: str = "alter"
    has_version_key: bool = True
    version_index: str = ""
    has_zones: bool = False
    has_named_windows: bool = True
    has_booleans: bool = True
    has_nul: bool = True
    instants: str = "aware"
    rejected_limit: int = 4_194_304
    text_limit: int | None = None

    def text_of(self, value: str, type_: str) -> str:
        """Return the expression of a value's text, for a digest."""
        return self.texts.get(type_, self.text).format(value)

    def same_values(self, one: str, other: str, type_: str) -> str:
        """Return the condition that two values of a type are equal, or both null."""
        return (self.same_text if type_ in self.key_texts else self.same).format(one, other)
