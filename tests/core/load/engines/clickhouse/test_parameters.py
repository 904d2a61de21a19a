"""Question marks become named parameters, and only those that are parameters."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.engines.clickhouse.parameters import bind, literal

QUOTED = ["'?'", "'it''s ?'", r"'a\'?'", '"a?"', "`?`", "-- ?\n", "/* ? */", "'\n?'"]


@pytest.mark.parametrize(
    ("value", "type_", "given"),
    [
        (1, "Int64", 1),
        (True, "Bool", "true"),
        (0.5, "Float64", 0.5),
        ("a'?", "String", "a'?"),
        (date(2026, 1, 2), "Date32", "2026-01-02"),
        (
            datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=2))),
            "DateTime64(6, 'UTC')",
            "2026-01-01 22:00:00.000000",
        ),
        (datetime(1, 1, 2, 3, tzinfo=timezone.utc), "DateTime64(6, 'UTC')", "0001-01-02 03:00:00.000000"),
    ],
)
def test_each_type_has_its_counterpart(value: Any, type_: str, given: Any) -> None:
    assert bind("select ?", [value]) == (f"select {{p0:{type_}}}", {"p0": given})


def test_null_is_written_out() -> None:
    assert bind("select ?, ?", [None, 1]) == ("select NULL, {p0:Int64}", {"p0": 1})


@given(parts=st.lists(st.sampled_from([*QUOTED, "?", " a ", "1"]), max_size=12))
def test_a_question_mark_in_a_text_an_identifier_or_a_comment_is_none(parts: list[str]) -> None:
    wanted = parts.count("?")
    bound, values = bind(" ".join(parts), list(range(wanted)))
    assert list(values.values()) == list(range(wanted))
    names = iter(f"{{p{number}:Int64}}" for number in range(wanted))
    assert bound == " ".join(next(names) if part == "?" else part for part in parts)


@pytest.mark.parametrize("parameters", [[], [1, 2]])
def test_a_wrong_number_of_parameters_is_refused(parameters: list[int]) -> None:
    with pytest.raises(ConfigurationError, match=f"1 question marks for {len(parameters)} parameters"):
        bind('select ? as "?"', parameters)


def test_a_value_without_counterpart_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="type dict") as error:
        bind("select ?", [{"token": "secret"}])
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(("value", "sql"), [(-5, "-5"), ("a", "'a'"), (r"it's \n", r"'it\'s \\n'")])
def test_keys_are_written_as_sql(value: int | str, sql: str) -> None:
    assert literal(value) == sql
