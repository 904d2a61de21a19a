from __future__ import annotations

from typing import get_args

from airflow_provider_toggl.core.rates import FIELDS, PRECEDENCE, Kind, Level


def test_each_kind_has_levels_and_each_level_says_what_it_is_set_for() -> None:
    assert set(PRECEDENCE) == set(get_args(Kind))
    assert {level for levels in PRECEDENCE.values() for level in levels} == set(FIELDS) == set(get_args(Level))
