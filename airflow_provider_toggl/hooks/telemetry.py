"""What this package measures and tells, in Airflow's metrics and log fields, whichever of its processes this is."""

from __future__ import annotations

import inspect
import os
import re
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog

# Airflow has two copies: the Task SDK's, which task processes start, and its own, which all others start.
from airflow.observability.stats import Stats as ServerStats
from airflow.providers.common.compat.sdk import conf
from airflow.sdk.observability.stats import Stats as TaskStats

from airflow_provider_toggl.core import log_fields, metrics

# What neither StatsD with InfluxDB's tags nor Datadog's takes for anything else.
_NOT_PLAIN = re.compile(r"[^a-zA-Z0-9_.\-/]")


class AirflowSink:
    """Sends by ``Stats`` of Airflow, so to StatsD, Datadog or OpenTelemetry, as ``[metrics]`` says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats: Any = None
        self._pid = 0

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""
        self.stats().incr(name, number, tags=_plain(tags))

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Set what is so now."""
        self.stats().gauge(name, value, tags=_plain(tags))

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Add one duration."""
        # A bare number would be milliseconds to one backend and whatever it likes to another.
        self.stats().timing(name, timedelta(seconds=seconds), tags=_plain(tags))

    def stats(self) -> Any:
        """Return the ``Stats`` that work in this process, started where Airflow has not started them."""
        if self._pid != os.getpid():
            with self._lock:
                self._stats = _choose()
                self._pid = os.getpid()
        return self._stats


def connect() -> None:
    """Send what is measured, and give the log's fields, to Airflow from now on; free when it is done already."""
    if metrics.is_sent_to(_SINK):
        return
    metrics.send_to(_SINK)
    log_fields.bind_with(structlog.contextvars.bound_contextvars)


def warm_up() -> None:
    """Let Airflow make its client, which may look up a host, before an event loop needs it. Blocks."""
    _SINK.stats().timer()


_SINK = AirflowSink()


def _choose() -> Any:
    """Return the copy that already sends; else the one that could; else start Airflow's own.

    A second client in a process would be a second exporter of OpenTelemetry, which takes the first one's place when the
    process ends and the last values are sent. Airflow 3.2's API server, and a receiver of its own, start none.
    """
    copies = (TaskStats, ServerStats)
    live = [copy for copy in copies if _has(copy, "_backend", "instance")]
    ready = [copy for copy in reversed(copies) if _has(copy, "_factory", "factory")]
    for copy in (*live, *ready):
        return copy
    _start()
    return ServerStats


def _has(copy: Any, module_field: str, class_field: str) -> bool:
    """Whether a copy has something that Airflow keeps in its module (3.3) or its class (3.2)."""
    return getattr(sys.modules[copy.__module__], module_field, None) is not None or (
        getattr(copy, "__dict__", {}).get(class_field) is not None
    )


def _start() -> None:
    from airflow.observability.metrics import stats_utils  # noqa: PLC0415 - most processes have it started

    start: Any = ServerStats.initialize
    choose: Any = stats_utils.get_stats_factory
    if "export_legacy_names" in inspect.signature(start).parameters:  # Airflow 3.3
        start(factory=choose(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on", fallback=True))
    else:
        start(factory=choose(ServerStats))


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: _NOT_PLAIN.sub("_", value) or "none" for name, value in tags.items()}
