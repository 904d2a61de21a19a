from __future__ import annotations

import inspect

from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.target import Landed, Target


def test_duckdb_is_a_target_with_the_parameters_of_one(target: DuckdbTarget) -> None:
    promised: Target = target
    assert promised is target
    for name, method in inspect.getmembers(Target, inspect.isfunction):
        if name.startswith("_"):
            continue
        given = inspect.signature(getattr(DuckdbTarget, name)).parameters
        assert list(inspect.signature(method).parameters) == [
            p for p in given if p in inspect.signature(method).parameters
        ]


def test_a_landing_of_nothing_did_nothing(target: DuckdbTarget) -> None:
    with target as same:
        assert same.land([]) == Landed(0, 0, 0, 0, 0)
