"""What differs between the engines that rows land in, as words that ``merge`` puts into its statements."""

from __future__ import annotations

from dataclasses import dataclass

_WHOLE = (
    "case when abs({{0}}) < 1e15 then case when {{0}} = round({{0}}) then cast(cast({{0}} as {integer}) as {text}) "
    "else cast({{0}} as {text}) end else cast({{0}} as {text}) end"
)
_AS_BOOLEAN = "case {0} when 1 then 'true' when 0 then 'false' end"


@dataclass(frozen=True)
class Dialect:
    """An engine's words.

    :param name: the engine, as errors name it.
    :param types: the engine's type for each neutral one; ``word`` and ``key`` are short and longer texts that may be
        part of a key.
    :param texts: for a digest, an expression of the text of ``{0}`` by its neutral type; the same text on each engine.
    :param text: an expression of the text of ``{0}``, for the types that ``texts`` does not name.
    :param number: an expression of the text of ``{0}``, a number of characters.
    :param length: an expression of the number of characters of ``{0}``.
    :param cast: how a value gets the column's type ``{1}`` where what comes in has another.
    :param same: a condition, never null, under which ``{0}`` and ``{1}`` are the same value or both null.
    :param same_text: the same for texts, down to case and blanks at their ends.
    :param key_texts: types whose values are compared as texts.
    :param temporary: the beginning of a statement that makes the temporary table ``{0}`` of what a query finds.
    :param put: how merged rows go over stored ones: ``replace`` (out and in again), ``conflict`` or ``duplicate``.
    :param has_zones: whether the engine itself knows the zones' local dates.
    :param has_lists: whether it has a type for lists; else they are JSON texts.
    :param instants: how instants are given to it: ``aware``, ``naive`` (in UTC) or ``text``.
    :param has_booleans: whether it has a type for booleans; else they are 1 and 0.
    :param has_nul: whether its texts can hold NUL characters.
    :param raw_limit: characters kept of a rejected record.
    :param text_limit: characters that a text, a list or a JSON column holds, None where there is no limit that matters.
    :param table_options: what ends a statement that creates a table.
    :param file: the file of statements that only this engine understands.
    :param drop: the statement that drops the temporary table ``{0}`` where there is one.
    :param row_key: the definition of a column that numbers the rows of a temporary table, for engines that refuse
        tables without a primary key.
    """

    name: str
    types: dict[str, str]
    texts: dict[str, str]
    text: str = "cast({0} as varchar)"
    number: str = "cast({0} as varchar)"
    length: str = "length({0})"
    cast: str = "{0}"
    same: str = "{0} is not distinct from {1}"
    same_text: str = "{0} is not distinct from {1}"
    key_texts: tuple[str, ...] = ("text",)
    temporary: str = "create temporary table {0} as"
    put: str = "replace"
    has_zones: bool = False
    has_lists: bool = False
    instants: str = "aware"
    has_booleans: bool = True
    has_nul: bool = True
    raw_limit: int = 4_194_304
    text_limit: int | None = None
    table_options: str = ""
    file: str = "ansi"
    drop: str = "drop table if exists {0}"
    row_key: str = ""

    def text_of(self, value: str, type_: str) -> str:
        """Return the expression of a value's text, for a digest."""
        return self.texts.get(type_, self.text).format(value)

    def same_values(self, one: str, other: str, type_: str) -> str:
        """Return the condition under which two values of a type are the same, or both null."""
        return (self.same_text if type_ in self.key_texts else self.same).format(one, other)


DUCKDB = Dialect(
    name="DuckDB",
    file="duckdb",
    types={
        "bigint": "bigint",
        "boolean": "boolean",
        "text": "varchar",
        "double": "double",
        "timestamp": "timestamp with time zone",
        "date": "date",
        "bigint_list": "bigint[]",
        "json": "json",
        "word": "varchar",
        "key": "varchar",
    },
    texts={
        "timestamp": "cast(epoch_us({0}) as varchar)",
        "double": _WHOLE.format(integer="bigint", text="varchar"),
    },
    cast="cast({0} as {1})",
    has_zones=True,
    has_lists=True,
)

POSTGRES = Dialect(
    name="PostgreSQL",
    file="postgres",
    types={
        "bigint": "bigint",
        "boolean": "boolean",
        "text": "text",
        "double": "double precision",
        "timestamp": "timestamp with time zone",
        "date": "date",
        "bigint_list": "bigint[]",
        # Not jsonb, which has its own order of keys and cannot hold an escaped NUL: a text must stay what it was.
        "json": "json",
        "word": "text",
        "key": "text",
    },
    texts={
        "timestamp": "cast(cast(extract(epoch from {0}) * 1000000 as bigint) as text)",
        "double": _WHOLE.format(integer="bigint", text="text"),
        "bigint_list": "'[' || array_to_string({0}, ', ') || ']'",
    },
    text="cast({0} as text)",
    number="cast({0} as text)",
    # json has no equality.
    same_text="cast({0} as text) is not distinct from cast({1} as text)",
    key_texts=("json",),
    temporary="create temporary table {0} on commit drop as",
    put="conflict",
    has_zones=True,
    has_lists=True,
)

SQLITE = Dialect(
    name="SQLite",
    file="sqlite",
    types={
        "bigint": "integer",
        "boolean": "boolean",
        "text": "text",
        "double": "real",
        "timestamp": "text",
        "date": "text",
        "bigint_list": "text",
        "json": "text",
        "word": "text",
        "key": "text",
    },
    texts={
        "timestamp": (
            "cast(cast(strftime('%s', {0}) as integer) * 1000000 + cast(substr({0}, 21, 6) as integer) as text)"
        ),
        "double": _WHOLE.format(integer="integer", text="text"),
        "boolean": _AS_BOOLEAN,
    },
    text="cast({0} as text)",
    number="cast({0} as text)",
    same="{0} is {1}",
    same_text="{0} is {1}",
    put="conflict",
    instants="text",
    has_booleans=False,
)

_UNICODE = "character set utf8mb4 collate utf8mb4_bin"

# A server may default to an older format, whose keys and rows are too short for our texts; no session can change that.
_DYNAMIC = "row_format=dynamic"

MYSQL = Dialect(
    name="MySQL",
    file="mysql",
    types={
        "bigint": "bigint",
        "boolean": "tinyint(1)",
        "text": f"longtext {_UNICODE}",
        "double": "double",
        "timestamp": "datetime(6)",
        "date": "date",
        # Not json, which in MySQL writes itself anew.
        "bigint_list": f"longtext {_UNICODE}",
        "json": f"longtext {_UNICODE}",
        "word": f"varchar(64) {_UNICODE}",
        "key": f"varchar(500) {_UNICODE}",
    },
    texts={
        "timestamp": "cast(timestampdiff(microsecond, '1970-01-01', {0}) as char)",
        "double": _WHOLE.format(integer="signed", text="char"),
        "boolean": _AS_BOOLEAN,
        **dict.fromkeys(("text", "json", "bigint_list"), "{0}"),
    },
    text="cast({0} as char)",
    number="cast({0} as char)",
    length="char_length({0})",
    same="{0} <=> {1}",
    # Collations of MySQL pass over blanks at the end.
    same_text="cast({0} as binary) <=> cast({1} as binary)",
    key_texts=("text", "json", "bigint_list"),
    # Without the key each row of one table would be compared with each of the other.
    temporary=f"create temporary table {{0}} (primary key (id)) {_DYNAMIC} as",
    put="duplicate",
    instants="naive",
    has_booleans=False,
    drop="drop temporary table if exists {0}",
    row_key="toggl_row bigint not null auto_increment primary key",
    table_options=_DYNAMIC,
)

ANSI = Dialect(
    name="SQL",
    types={
        "bigint": "bigint",
        "boolean": "smallint",
        "text": "varchar(16000)",
        "double": "double precision",
        "timestamp": "timestamp",
        "date": "date",
        "bigint_list": "varchar(16000)",
        "json": "varchar(16000)",
        "word": "varchar(64)",
        "key": "varchar(500)",
    },
    texts={
        "boolean": _AS_BOOLEAN,
        "double": _WHOLE.format(integer="bigint", text="varchar(64)"),
        **dict.fromkeys(("text", "json", "bigint_list"), "{0}"),
    },
    text="cast({0} as varchar(64))",
    number="cast({0} as varchar(64))",
    length="char_length({0})",
    same="case when {0} = {1} or ({0} is null and {1} is null) then 1 else 0 end = 1",
    same_text="case when {0} = {1} or ({0} is null and {1} is null) then 1 else 0 end = 1",
    instants="naive",
    has_booleans=False,
    has_nul=False,
    raw_limit=16_000,
    text_limit=16_000,
)
