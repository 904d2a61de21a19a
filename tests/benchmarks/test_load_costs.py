from __future__ import annotations

from types import ModuleType

import pytest
from support.repository import load_benchmark

CLOUDS = (pytest.mark.soak, pytest.mark.clouds)


@pytest.fixture
def program() -> ModuleType:
    return load_benchmark("load_costs")


def test_the_load_with_the_most_statements_and_the_mean_of_many_loads_have_a_limit(program: ModuleType) -> None:
    loads = [{"statements": 6}, {"statements": 2}]
    for many, ok in (({"mean": 6.0, "most": 8}, [True, True]), ({"mean": 6.1, "most": 8}, [True, False])):
        result = {"engines": {"clickhouse": {"loads": loads, "statements_of_many_loads": many}}}
        assert [limit.ok for limit in program.limits_of(result)] == ok
    result = {"engines": {"snowflake": {"loads": [*loads, {"statements": 7}]}}}
    assert [limit.ok for limit in program.limits_of(result)] == [False]


@pytest.mark.parametrize(
    ("engine", "module"),
    [
        ("iceberg", "pyiceberg"),
        pytest.param("snowflake", "snowflake.connector", marks=CLOUDS),
        pytest.param("bigquery", "google.cloud.bigquery", marks=CLOUDS),
        pytest.param("clickhouse", "clickhouse_connect", marks=CLOUDS),
    ],
)
def test_more_rows_take_more_bytes_and_no_more_statements(program: ModuleType, engine: str, module: str) -> None:
    pytest.importorskip(module)
    result = program.measure([engine], [10, 1_000])
    new = [load for load in result["engines"][engine]["loads"] if load["load"] == "new"]
    assert [load["rows"] for load in new] == [10, 1_000]
    assert new[0]["statements"] == new[1]["statements"]
    assert new[0]["sent"] < new[1]["sent"]
    assert all(limit.ok for limit in program.limits_of(result))
