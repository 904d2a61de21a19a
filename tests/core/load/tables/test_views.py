from __future__ import annotations

import pytest
from support.warehouses import DIALECTS

from airflow_provider_toggl.core.load.engines.dialect import Dialect
from airflow_provider_toggl.core.load.tables.views import create_views


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_the_views_are_written_in_the_words_of_a_dialect(dialect: Dialect) -> None:
    live, facts = create_views(dialect)
    assert live.startswith(f'{dialect.create_view} "live_time_entries" as')
    assert f'{dialect.facts.local_date} as "local_date"' in facts
    assert ('"zone_offsets"' in facts) == (not dialect.has_zones)
