from __future__ import annotations

import pytest
from support.warehouses import DIALECTS

from airflow_provider_toggl.core.load.engines.dialect import Dialect, quote
from airflow_provider_toggl.core.load.tables.schemas import TABLES

EACH = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)


@EACH
def test_every_dialect_has_a_type_for_each_neutral_one(dialect: Dialect) -> None:
    wanted = {column.type for table in TABLES.values() for column in table.columns}
    assert wanted | {"word", "key"} == set(dialect.types)


@EACH
def test_the_words_of_a_dialect_name_their_operands(dialect: Dialect) -> None:
    assert "x_y" in dialect.text_of("x_y", "double")
    assert "x_y" in dialect.text_of("x_y", "bigint")
    for type_ in dialect.types:
        condition = dialect.same_values("one_", "other_", type_)
        assert "one_" in condition
        assert "other_" in condition


def test_a_quote_in_an_identifier_is_doubled() -> None:
    assert quote('a "b"') == '"a ""b"""'
