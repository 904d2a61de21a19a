"""Sends this package's metrics and log fields to Airflow's, in every process of Airflow."""

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

# Airflow has two copies: task processes start that of the Task SDK, all others start Airflow's own.
from airflow.observability.stats import Stats as ServerStats
from airflow.providers.common.compat.sdk import conf
from airflow.sdk.observability.stats import Stats as TaskStats

from airflow_provider_toggl.core import log_fields, metrics

# Characters without a special meaning in tags of StatsD with InfluxDB's format and of Datadog.
_NOT_PLAIN = re.compile(r"[^a-zA-Z0-9_.\-/]")


class AirflowSink:
    """Sends by Airflow's ``Stats`` to StatsD, Datadog or OpenTelemetry, as set in ``[metrics]``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats: Any = None
        self._pid = 0

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""
        self.stats().incr(name, number, tags=_plain(tags))

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge."""
        self.stats().gauge(name, value, tags=_plain(tags))

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Add one duration."""
        # Backends interpret a plain number in different units.
        self.stats().timing(name, timedelta(seconds=seconds), tags=_plain(tags))

    def stats(self) -> Any:
        """Return the ``Stats`` of this process, and start them if Airflow has not."""
        if self._pid != os.getpid():
            with self._lock:
                self._stats = _choose()
                self._pid = os.getpid()
        return self._stats


def connect() -> None:
    """Send metrics and log fields to Airflow from now on; does nothing if it is done already."""
    if metrics.is_sent_to(_SINK):
        return
    metrics.send_to(_SINK)
    log_fields.bind_with(structlog.contextvars.bound_contextvars)


def warm_up() -> None:
    """Let Airflow create its metrics client, which may resolve a host name, before an event loop needs it. Blocks."""
    _SINK.stats().timer()


_SINK = AirflowSink()


def _choose() -> Any:
    """Return the copy that already sends, else the one that is configured; else start Airflow's own.

    A second client in a process would be a second exporter of OpenTelemetry, which replaces the first one when the
    process ends and sends its last values. Airflow 3.2's API server and a standalone receiver start none.
    """
    copies = (TaskStats, ServerStats)
    live = [copy for copy in copies if _has(copy, "_backend", "instance")]
    ready = [copy for copy in reversed(copies) if _has(copy, "_factory", "factory")]
    for copy in (*live, *ready):
        return copy
    _start()
    return ServerStats


def _has(copy: Any, module_field: str, class_field: str) -> bool:
    """Whether a copy has a value, which is in its module in Airflow 3.3 and in its class in 3.2."""
    return getattr(sys.modules[copy.__module__], module_field, None) is not None or (
        getattr(copy, "__dict__", {}).get(class_field) is not None
    )


def _start() -> None:
    from airflow.observability.metrics import stats_utils  # noqa: PLC0415 - most processes do not need it

    start: Any = ServerStats.initialize
    choose: Any = stats_utils.get_stats_factory
    if "export_legacy_names" in inspect.signature(start).parameters:  # Airflow 3.3
        start(factory=choose(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on", fallback=True))
    else:
        start(factory=choose(ServerStats))


def _plain(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: _NOT_PLAIN.sub("_", value) or "none" for name, value in tags.items()}
