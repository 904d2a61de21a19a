from __future__ import annotations

import re

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.table_store.views import build_views
from airflow_provider_toggl.core.load.tables.reads import VIEWS


def test_the_views_are_those_that_lineage_knows_and_each_comes_after_those_that_it_reads() -> None:
    views = build_views(DUCKDB)
    assert list(views) == list(VIEWS)
    for place, statement in enumerate(views.values()):
        later = list(views)[place + 1 :]
        assert not set(re.findall(r'from "(\w+)"', statement)) & set(later)
