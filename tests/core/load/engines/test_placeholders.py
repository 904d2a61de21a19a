from __future__ import annotations

import pytest

from airflow_provider_toggl.core.load.engines.placeholders import to_format


@pytest.mark.parametrize(
    ("sql", "doubled"),
    [
        ("select ?, ?", "select %s, %s"),
        ("select '?', 'it''s ?', ?", "select '?', 'it''s ?', %s"),
        ('select "a?""b?" where x = ?', 'select "a?""b?" where x = %s'),
        ("select 5 % ? -- why?\n, ?", "select 5 %% %s -- why?\n, %s"),
        ("select /* ? \n ? */ ?", "select /* ? \n ? */ %s"),
        ("like '%s' and ?", "like '%%s' and %s"),
    ],
)
def test_a_question_mark_is_a_parameter_where_sql_has_one(sql: str, doubled: str) -> None:
    assert to_format(sql) == doubled
    assert to_format(sql, False) == doubled.replace("%%", "%")
