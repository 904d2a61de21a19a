from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.load.engines.bigquery.dialect import create_all_views, quote, translate
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.tables.reads import VIEWS


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ('select "start" from "time_entries"', "select `start` from `time_entries`"),
        ("""select '"a"' as "b" """, """select '"a"' as `b` """),
        (r"""select 'it\'s "x"', "y" """, r"""select 'it\'s "x"', `y` """),
        ("""select '''a "b" 'c' ''', "d" """, """select '''a "b" 'c' ''', `d` """),
        ('select `a"b"`, "c" -- "d"\n, "e"', 'select `a"b"`, `c` -- "d"\n, `e`'),
        ('select /* "a" */ "b" where "c" = ?', 'select /* "a" */ `b` where `c` = ?'),
        ('select "a""b`c"', 'select `a"b\\`c`'),
    ],
)
def test_identifiers_in_double_quotes_get_backticks_and_texts_stay(sql: str, wanted: str) -> None:
    assert translate(sql) == wanted


@given(st.lists(st.sampled_from(["select", '"a"', "'b'", "?", ",", "`c`", "--x\n", "'\"'", " "])))
def test_nothing_but_identifiers_changes(parts: list[str]) -> None:
    assert translate(" ".join(parts)) == " ".join("`a`" if part == '"a"' else part for part in parts)


def test_views_name_their_tables_with_project_and_dataset_and_have_no_double_quote() -> None:
    views = create_all_views("my-project.toggl")
    assert [view.split("`")[1] for view in views] == [f"my-project.toggl.{name}" for name in VIEWS]
    for view in views:
        assert '"' not in view
        assert not any(f"`{name}`" in view for name in (*STORED_TABLES, *VIEWS))


def test_no_column_has_the_name_of_a_table() -> None:
    columns = {column.name for table in STORED_TABLES.values() for column in table.columns}
    assert columns.isdisjoint({*STORED_TABLES, *VIEWS})


def test_a_backtick_in_an_identifier_does_not_end_it() -> None:
    assert quote("a`b\\c") == "`a\\`b\\\\c`"
