"""An OpenTelemetry collector for tests: metrics that arrive by HTTP, as Airflow exports them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from support.metrics import AIRFLOW, Measurement

_KINDS = {"sum": "counter", "gauge": "gauge", "histogram": "timer", "exponential_histogram": "timer"}


class OtlpCollector:
    """Collects while it is open; ``port`` is where."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                requests.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def env(self) -> dict[str, str]:
        """Return the environment that makes an Airflow export its metrics here."""
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }

    def arrived(self) -> list[Measurement]:
        """Return the last value of each of the package's series."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], Measurement] = {}
        for raw in self.requests:
            request = ExportMetricsServiceRequest.FromString(raw)
            for metric in (m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics):
                shape = metric.WhichOneof("data")
                for point in getattr(metric, shape).data_points:
                    tags = tuple(sorted((one.key, one.value.string_value) for one in point.attributes))
                    value = point.sum if hasattr(point, "sum") else point.as_double or float(point.as_int)
                    name = metric.name.removeprefix(AIRFLOW)
                    found[name, tags] = Measurement(name, _KINDS[shape], tags, value)
        return [one for one in found.values() if one.name.startswith("toggl.")]


@contextmanager
def collecting() -> Iterator[OtlpCollector]:
    """Run a collector."""
    collector = OtlpCollector()
    thread = threading.Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()
