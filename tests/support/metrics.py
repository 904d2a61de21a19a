"""Metrics that a StatsD server receives or that this process sends, compared with the catalogue."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from airflow_provider_toggl.core import metrics

KINDS: Mapping[str, metrics.Kind] = {"c": "counter", "g": "gauge", "ms": "timer"}
#: Airflow's prefix of all names.
AIRFLOW = "airflow."


@dataclass(frozen=True)
class Measurement:
    """One measurement as it arrived.

    :param name: without Airflow's prefix.
    :param value: of a timer in milliseconds.
    """

    name: str
    kind: str
    tags: tuple[tuple[str, str], ...]
    value: float

    def tag(self, name: str) -> str | None:
        """Return the value of a tag, None where it is missing."""
        return dict(self.tags).get(name)


class StatsdListener:
    """Listens within its ``with`` block, in a thread.

    ::

        with StatsdListener() as statsd:
            home = AirflowHome(path, env=statsd.env())
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._closing = threading.Event()
        self._arrived: list[Measurement] = []

    def env(self) -> dict[str, str]:
        """Return the environment that makes an Airflow send its metrics here, with InfluxDB's tags."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def arrived(self, name: str = "toggl.") -> list[Measurement]:
        """Return the measurements so far whose names begin with ``name``."""
        return [one for one in list(self._arrived) if one.name.startswith(name)]

    def total(self, metric: metrics.Metric, **tags: str) -> float:
        """Return the sum of a metric with these tags; the last value of a gauge, the number of a timer."""
        found = [one for one in self.arrived() if one.name == metric.name and tags.items() <= dict(one.tags).items()]
        if metric.kind == "gauge":
            return found[-1].value if found else 0.0
        return float(len(found)) if metric.kind == "timer" else sum(one.value for one in found)

    def __enter__(self) -> StatsdListener:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                packet = self._socket.recv(65536)
            except TimeoutError:
                continue
            self._arrived += map(parse, packet.decode().splitlines())


def parse(line: str) -> Measurement:
    """Parse a line such as ``airflow.toggl.x,tag=value:3|c``."""
    head, _, rest = line.rpartition(":")
    value, kind = rest.split("|")[:2]
    name, *tags = head.split(",")
    pairs = tuple(tuple(tag.split("=", 1)) for tag in tags)
    return Measurement(name.removeprefix(AIRFLOW), KINDS.get(kind, kind), pairs, float(value))  # type: ignore[arg-type]


def catalogue_faults(measured: Iterable[Measurement]) -> list[str]:
    """Return how measurements deviate from the catalogue."""
    found = set()
    for one in measured:
        metric = metrics.CATALOGUE.get(one.name)
        if metric is None:
            found.add(f"{one.name} is not in the catalogue")
        elif one.kind != metric.kind:
            found.add(f"{one.name} is a {one.kind}")
        elif {name for name, _ in one.tags} != set(metric.tags):
            found.add(f"{one.name} has the tags {sorted(name for name, _ in one.tags)}")
    return sorted(found)


class Recorder:
    """Keeps measurements, and refuses those that are not in the catalogue."""

    def __init__(self) -> None:
        self.sent: list[Measurement] = []

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
        self.sent.append(Measurement(name, kind, tuple(tags.items()), value))


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record the metrics of this process; errors of a measurement are raised."""
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
    original, metrics._log_once = metrics._log_once, errors.append
    try:
        yield
    finally:
        metrics._log_once = original
    assert errors == []
