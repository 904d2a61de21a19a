"""A StatsD server for tests: what arrives by UDP, parsed, and held against the catalogue."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType

from airflow_provider_toggl.core import metrics

KINDS: Mapping[str, metrics.Kind] = {"c": "counter", "g": "gauge", "ms": "timer"}
#: What Airflow puts before every name.
AIRFLOW = "airflow."


@dataclass(frozen=True)
class Measured:
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
        self._arrived: list[Measured] = []

    def env(self) -> dict[str, str]:
        """Return what makes an Airflow send here, with tags as InfluxDB writes them."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        }

    def arrived(self, name: str = metrics.PREFIX) -> list[Measured]:
        """Return what has come so far of all names that begin so."""
        return [one for one in list(self._arrived) if one.name.startswith(name)]

    def total(self, metric: metrics.Metric, **tags: str) -> float:
        """Return the sum of what came of a metric with these tags; the last value of a gauge."""
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


def parse(line: str) -> Measured:
    """Return what a line says: ``airflow.toggl.x,tag=value:3|c``."""
    head, _, rest = line.rpartition(":")
    value, kind = rest.split("|")[:2]
    name, *tags = head.split(",")
    pairs = tuple(tuple(tag.split("=", 1)) for tag in tags)
    return Measured(name.removeprefix(AIRFLOW), KINDS.get(kind, kind), pairs, float(value))  # type: ignore[arg-type]


def faults(measured: Iterable[Measured]) -> list[str]:
    """Return what of it is not as the catalogue has it."""
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
