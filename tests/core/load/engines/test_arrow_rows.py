from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
from support.toggl_rows import NOON

from airflow_provider_toggl.core.load.decode.column_types import INSTANT
from airflow_provider_toggl.core.load.engines.arrow_rows import (
    KNOWN_TYPES,
    build_table,
    fix_column_type,
    list_texts,
    plain_rows,
    plain_value,
    without_nul,
)

EARLY = datetime(999, 1, 1, tzinfo=timezone.utc)


def test_lists_become_texts_and_null_stays_null() -> None:
    lists = pa.chunked_array([[[1, -2], []], [None, [3]]], pa.list_(pa.int64()))
    assert list_texts(lists, "[", ", ", "]").to_pylist() == ["[1, -2]", "[]", None, "[3]"]


def test_values_are_given_to_drivers_in_the_engines_form() -> None:
    table = pa.table(
        {
            "at": pa.array([NOON, None], INSTANT),
            "on": [True, None],
            "day": pa.array([date(2025, 6, 1), None]),
            "ids": pa.array([[1, 2], None], pa.list_(pa.int64())),
            "n": [1, None],
        }
    )
    nothing = (None,) * 5
    (as_text,) = plain_rows(table, "text", has_booleans=False)
    assert as_text == [("2025-06-01T12:00:00.000000Z", 1, "2025-06-01", "[1, 2]", 1), nothing]
    (as_sql,) = plain_rows(table, "naive", has_booleans=True)
    assert as_sql == [("2025-06-01 12:00:00.000000", True, "2025-06-01", "[1, 2]", 1), nothing]


def test_parameters_that_are_instants_are_in_utc_and_sort_as_time_does() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=5)))
    assert plain_value(local, "aware") is local
    assert plain_value(local, "naive") == datetime(2025, 6, 1, 12)  # noqa: DTZ001 - naive is what is wanted
    assert plain_value(local, "text") == "2025-06-01T12:00:00.000000Z"
    assert plain_value(EARLY, "text") < plain_value(local, "text")
    assert plain_value("text", "text") == "text"


def test_chunks_of_rows_become_columns_whatever_is_null_where() -> None:
    chunks = [[(None, 1, "a", None)], [(2, None, "b", None), (3, 4.5, None, None)]]
    table = build_table(["a", "b", "c", "d"], [None] * 4, chunks)
    assert table.to_pydict() == {"a": [None, 2, 3], "b": ["1", None, "4.5"], "c": ["a", "b", None], "d": [None] * 3}
    assert build_table(["a"], [pa.int64()], []).schema.field("a").type == pa.int64()
    mixed = build_table(["a"], [None], [[(Decimal("1.5"),), ("x",)]])
    assert mixed.to_pydict() == {"a": ["1.5", "x"]}


def test_a_column_of_an_engine_without_types_gets_its_type_by_name_and_form() -> None:
    text = "2025-06-01T12:00:00.000000Z"
    cases = {
        "seen_at": ([text, None], [NOON, None]),
        "latest": ([text, None], [NOON, None]),
        "description": ([text, "x"], [text, "x"]),
        "word": ([text, "x"], [text, "x"]),
        "billable": ([1, 0], [True, False]),
        "local_date": (["2025-06-01", None], [date(2025, 6, 1), None]),
        "user_id": ([None, None], [None, None]),
    }
    for name, (values, wanted) in cases.items():
        column = fix_column_type(name, pa.chunked_array([pa.array(values)]))
        assert column.to_pylist() == wanted
        assert name not in KNOWN_TYPES or name == "description" or column.type == KNOWN_TYPES[name]
    naive = pa.chunked_array([pa.array([NOON.replace(tzinfo=None)])])
    assert fix_column_type("anything", naive).to_pylist() == [NOON]


def test_a_nul_character_is_seen_only_where_there_is_one() -> None:
    assert without_nul(pa.array(["a\0", None, "b"])).to_pylist() == ["a\ufffd", None, "b"]
    plain = pa.array(["a"])
    assert without_nul(plain) is plain
