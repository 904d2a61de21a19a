"""What is measured in a test's own process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from support.statsd import Measured

from airflow_provider_toggl.core import metrics


class Recorder:
    """Keeps what is sent, and refuses what the catalogue does not have."""

    def __init__(self) -> None:
        self.sent: list[Measured] = []

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        self._keep(name, "counter", float(number), tags)

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        self._keep(name, "gauge", value, tags)

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        self._keep(name, "timer", seconds * 1000, tags)

    def of(self, metric: metrics.Metric) -> list[tuple[dict[str, str], float]]:
        """Return tags and value of each measurement of a metric, in order."""
        return [(dict(one.tags), one.value) for one in self.sent if one.name == metric.name]

    def _keep(self, name: str, kind: str, value: float, tags: Mapping[str, str]) -> None:
        assert metrics.CATALOGUE[name].kind == kind
        assert set(metrics.CATALOGUE[name].tags) == set(tags)
        self.sent.append(Measured(name, kind, tuple(tags.items()), value))


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record what this process measures, and raise what a measurement raises."""
    recorder = Recorder()
    with _raising():
        metrics.send_to(recorder)
        try:
            yield recorder
        finally:
            metrics.send_to(None)


@contextmanager
def _raising() -> Iterator[None]:
    errors: list[Exception] = []
    tell, metrics._log_once = metrics._log_once, errors.append
    try:
        yield
    finally:
        metrics._log_once = tell
    assert errors == []
