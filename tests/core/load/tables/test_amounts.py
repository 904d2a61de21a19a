from __future__ import annotations

from airflow_provider_toggl.core.load.engines.dbapi.ansi import ANSI
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.tables.amounts import create_amounts
from airflow_provider_toggl.core.rates import PRECEDENCE


def test_each_level_of_each_kind_has_a_query_that_joins_by_equal_ids() -> None:
    amounts, _ = create_amounts(DUCKDB)
    for kind, levels in PRECEDENCE.items():
        for level in levels:
            assert f"""rate."type" = '{kind}' and rate."level" = '{level}'""" in amounts
    assert amounts.count("union all") == sum(map(len, PRECEDENCE.values())) - 1


def test_engines_without_booleans_compare_a_number() -> None:
    amounts, differences = create_amounts(ANSI)
    assert 'entry."billable" = 1 and' in amounts
    assert "time_entry_amounts" in differences
