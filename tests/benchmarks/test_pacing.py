from __future__ import annotations

import pytest
from support.repository import load_benchmark

pacing = load_benchmark("pacing")


@pytest.mark.soak
def test_a_strict_bucket_refuses_no_request_of_eight_processes() -> None:
    run = pacing.measure(rate=10.0, seconds=1.5)
    assert run["processes"] == 8
    assert run["refused_429"] == 0
    assert run["requests"] > 5
