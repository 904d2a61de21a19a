from __future__ import annotations

import pytest

from airflow_provider_toggl.core.load.dialects import ANSI, DUCKDB, MYSQL, POSTGRES, SQLITE, Dialect
from airflow_provider_toggl.core.load.schemas import TABLES

ALL = pytest.mark.parametrize("dialect", [DUCKDB, POSTGRES, SQLITE, MYSQL, ANSI], ids=lambda dialect: dialect.name)


@ALL
def test_every_dialect_has_a_type_for_each_neutral_one(dialect: Dialect) -> None:
    wanted = {column.type for table in TABLES.values() for column in table.columns}
    assert wanted | {"word", "key"} == set(dialect.types)


@ALL
def test_the_words_of_a_dialect_name_what_they_are_given(dialect: Dialect) -> None:
    assert "x_y" in dialect.text_of("x_y", "double")
    assert "x_y" in dialect.text_of("x_y", "bigint")
    for type_ in dialect.types:
        condition = dialect.same_values("one_", "other_", type_)
        assert "one_" in condition
        assert "other_" in condition
