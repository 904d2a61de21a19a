from __future__ import annotations

from airflow_provider_toggl.core.webhooks.reservoir import Samples


def test_all_are_taken_once_where_they_are_few() -> None:
    samples = Samples(most=3)
    samples.add(1.0)
    samples.add(2.0)
    assert samples.take() == [1.0, 2.0]
    assert samples.take() == []


def test_of_many_each_has_the_same_chance_to_be_among_those_that_are_kept() -> None:
    taken: list[float] = []
    for _ in range(500):
        samples = Samples(most=10)
        for number in range(100):
            samples.add(number)
        kept = samples.take()
        assert len(set(kept)) == 10
        taken += kept
    # 2,500 of 5,000 on average, with a standard deviation of 35.
    assert 2200 < sum(number >= 50 for number in taken) < 2800
