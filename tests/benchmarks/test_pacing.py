from __future__ import annotations

from support.repository import load_benchmark

pacing = load_benchmark("pacing")


def test_eight_processes_of_one_token_draw_no_429_from_a_strict_bucket() -> None:
    run = pacing.measure(rate=10.0, seconds=5.0)
    assert run["processes"] == 8
    assert run["refused_429"] == 0
    assert run["requests"] > 20
