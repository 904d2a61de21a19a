from __future__ import annotations

import pytest
from support.repository import load_benchmark

fleet = load_benchmark("fleet")


@pytest.mark.soak
def test_a_strict_bucket_refuses_no_request_of_six_hosts() -> None:
    run = fleet.measure_pace(10.0, seconds=3.0)
    assert len(run["answered"]) == fleet.HOSTS
    assert run["refused_429"] == 0
    assert run["errors"] == {}
    assert run["requests"] > 5


@pytest.mark.soak
@pytest.mark.parametrize("shared", [False, True])
def test_processes_that_wait_hold_few_connections_and_get_permits(shared: bool) -> None:
    run = fleet.measure_cost(10, 5.0, seconds=3.0, shared=shared)
    assert run["permits"] > 3
    assert run["errors"] == {}
    assert (run["statements_per_second"] is not None) == shared
