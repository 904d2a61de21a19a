from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.load.engines.snowflake import statements
from airflow_provider_toggl.core.load.engines.table_store.tables import REJECTED, STATE_TABLES, STORED_TABLES

ENTRIES = STORED_TABLES["time_entries"]


def test_the_state_is_read_by_one_query_whose_text_never_changes() -> None:
    sql = statements.read_state()
    assert sql == statements.read_state()
    assert sql.count("union all") == len(STATE_TABLES)
    columns = [part.count(' as "C') for part in sql.split(" union all ")]
    assert len(set(columns)) == 1


def test_a_commit_changes_the_revision_first_and_undoes_all_on_an_error() -> None:
    lines = statements.commit(7, ["one", "two"]).splitlines()
    assert lines[:3] == [
        "begin",
        "begin transaction;",
        'update "TOGGL_COMMITS" set "REVISION" = "REVISION" + 1 where "REVISION" = 7;',
    ]
    assert "rollback; return 'conflict'" in lines[3]
    assert lines[4:7] == ["one;", "two;", "commit;"]
    assert re.search(r"when other then let outcome varchar := 'failed '.* rollback; return outcome;", lines[-2])


def test_rows_are_read_and_stored_by_each_type_of_column() -> None:
    read = statements.read_rows(ENTRIES, "true")
    assert 'date_part(epoch_microsecond, "START") as "START"' in read
    assert 'to_json("TAG_IDS") as "TAG_IDS"' in read
    merge = statements.merge_rows(ENTRIES, "@STAGE/time_entries.parquet")
    assert "to_timestamp_tz($1:start::number(38, 0), 6)" in merge
    assert "parse_json($1:tag_ids::varchar)::array" in merge
    assert '"ID" = source."ID",' not in merge.partition("when matched")[2].partition("when not matched")[0]


def test_numbers_of_workspaces_are_part_of_conditions() -> None:
    assert statements.is_of(None) == "true"
    assert statements.is_of(7) == '"WORKSPACE_ID" = 7'
    assert statements.is_listed(ENTRIES, [1, -2]) == '"ID" in (1, -2)'


@given(st.lists(st.text(alphabet=st.sampled_from("a'\\$;\n?%\" -")), min_size=1))
def test_no_text_ends_the_literal_that_it_is_in(keys: list[str]) -> None:
    condition = statements.is_listed(REJECTED, keys)
    # As Snowflake reads literals: a backslash escapes what follows, two quotes are one.
    literals = re.findall(r"'((?:[^'\\]|''|\\.)*)'", condition.removeprefix('"ID" in '), re.DOTALL)
    assert [re.sub(r"\\(.)", r"\1", text.replace("''", "'"), flags=re.DOTALL) for text in literals] == keys
