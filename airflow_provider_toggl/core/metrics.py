"""The catalogue of metrics, from which the reference is generated, and the sink that they are sent to.

Each process has one sink, as with logging; :func:`send_to` sets it. Without a sink, nothing is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

log = logging.getLogger(__name__)

Kind = Literal["counter", "gauge", "timer"]


class Sink(Protocol):
    """Receives measurements. Its methods are called in any thread, also that of an event loop, and must not block."""

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Set a gauge."""

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Add one duration."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    :param name: with dots, without the prefix of Airflow's metrics.
    :param unit: of its values.
    :param tags: the possible values of each tag. Every measurement has all tags.
    :param meaning: a sentence for the reference.
    :param sender: the processes that send it: ``receiver``, ``triggerer`` or ``task``.
    """

    name: str
    unit: str
    meaning: str
    sender: str
    tags: Mapping[str, str] = field(default_factory=dict)

    kind: ClassVar[Kind]


class Counter(Metric):
    """The number of times that something happened."""

    kind: ClassVar[Kind] = "counter"

    def add(self, number: int = 1, **tags: object) -> None:
        """Add a number; zero is not sent."""
        if number:
            _send(lambda sink: sink.count(self.name, number, _texts(tags)))


class Gauge(Metric):
    """A current value."""

    kind: ClassVar[Kind] = "gauge"

    def set(self, value: float, **tags: object) -> None:
        """Set the value."""
        _send(lambda sink: sink.gauge(self.name, value, _texts(tags)))


class Timer(Metric):
    """A duration."""

    kind: ClassVar[Kind] = "timer"

    def record(self, seconds: float, **tags: object) -> None:
        """Record one duration; a negative one, after the clock was set back, counts as zero."""
        _send(lambda sink: sink.timing(self.name, max(0.0, seconds), _texts(tags)))


_sink: Sink | None = None
_logged: set[type[Exception]] = set()


def send_to(sink: Sink | None) -> None:
    """Send this process's measurements to a sink from now on; None: to none."""
    global _sink  # noqa: PLW0603 - one place for the whole process, as logging has
    _sink = sink
    _logged.clear()


def is_sent_to(sink: Sink) -> bool:
    """Whether measurements are sent to this sink."""
    return _sink is sink


def _send(send: Callable[[Sink], None]) -> None:
    """Send a measurement to the sink. Work must not fail because of its metrics, so errors are only logged."""
    if _sink is not None:
        try:
            send(_sink)
        except Exception as error:  # noqa: BLE001 - whatever a client of a metrics server raises
            _log_once(error)


def _texts(tags: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items()}


def _log_once(error: Exception) -> None:
    """Log an error of the sink, once for each type of error."""
    if type(error) not in _logged:
        _logged.add(type(error))
        log.warning("Metrics cannot be sent and are lost: %s: %s", type(error).__name__, error)


_STREAM = "a stream, `time_entries` or another"
_LOADED_STREAM = f"{_STREAM}; `events` for a drain"
_WAREHOUSE = "connection and schema, as in `duckdb_default.toggl`"
_BY = "`pull`, `drain` or `reconcile`"
_CONNECTION = "ID of the Toggl connection"
_STORE = "connection ID of the event store, `default` for the file"
_API = "`track`, `reports` or `webhooks`"
_LANE = "`user`, `organization_<id>`, or `workspace_<id>` while its organization is not known"
_LANE_TAGS = {"connection": _CONNECTION, "lane": _LANE}
_LOAD_TAGS = {"by": _BY, "stream": _LOADED_STREAM}
_WATERMARK_TAGS = {
    "by": "`pull` or `reconcile`",
    "stream": _STREAM,
    "workspace": "ID of the workspace",
    "warehouse": _WAREHOUSE,
}

DELIVERIES = Counter(
    "toggl.receive.deliveries",
    "requests",
    "Requests to the receiver by outcome. Sent every 10 s.",
    "receiver",
    {
        "outcome": "`stored`, `duplicate`, `ping`; refused: `malformed`, `malformed_signature`, `unsigned`, "
        "`wrong_signature`, `unknown_connection`, `method`, `too_slow`, `too_large`, `cut`; answered 503: `busy`, "
        "`no_connection`, `unavailable` (the store), `failed`"
    },
)
APPEND = Timer(
    "toggl.append.duration",
    "seconds",
    "Duration of a durable transaction of the receiver, which can contain many deliveries. A random 100 per 10 s.",
    "receiver",
)
LAST_SEQ = Gauge(
    "toggl.store.last_seq",
    "events",
    "The highest `seq` in the event store.",
    "receiver, triggerer, task",
    {"store": _STORE},
)
LAG = Gauge(
    "toggl.store.lag",
    "events",
    "Events after the position of a consumer.",
    "receiver, triggerer, task",
    {"store": _STORE, "consumer": "name of the consumer: a drain, a watcher or a sensor"},
)
TAIL_READS = Counter(
    "toggl.tail.reads",
    "reads",
    "Queries of the triggerer to the event store that returned events. Independent of the number of waiting triggers.",
    "triggerer",
    {"which": "`new` or `earlier` events"},
)
TAIL_EVENTS = Counter(
    "toggl.tail.events",
    "events",
    "Events that reads of the event store returned.",
    "triggerer",
    {"which": "`new` or `earlier`"},
)
TAIL_OUTAGES = Counter(
    "toggl.tail.outages", "outages", "Interruptions in which the event store could not be read.", "triggerer"
)
FIRED = Counter(
    "toggl.trigger.fired",
    "trigger events",
    "Trigger events: a sensor's wait ended, or a watcher reported a batch of changes.",
    "triggerer",
    {"way": "`wait` or `watch`"},
)
FIRED_EVENTS = Counter(
    "toggl.trigger.events",
    "events",
    "Toggl events that trigger events reported.",
    "triggerer",
    {"way": "`wait` or `watch`"},
)
REQUESTS = Counter(
    "toggl.request.count",
    "requests",
    "Requests sent to Toggl. Each attempt counts.",
    "task",
    {
        "connection": _CONNECTION,
        "lane": _LANE,
        "api": _API,
        "status": "`2xx`, `3xx`, `4xx`, `5xx`, and separately `402` (quota or plan) and `429` (too fast); `none` "
        "without an answer",
    },
)
REQUEST_TIME = Timer(
    "toggl.request.duration",
    "seconds",
    "From sending a request to the end of its answer, without waiting for a permit.",
    "task",
    {"connection": _CONNECTION, "api": _API},
)
WAIT = Timer(
    "toggl.request.wait",
    "seconds",
    "A wait of a running task before a request.",
    "task",
    {
        "connection": _CONNECTION,
        "reason": "`pace` (the rate limit), `share` (quota of others), `retry` or `database` (of shared limits)",
    },
)
QUOTA_LEFT = Gauge(
    "toggl.quota.remaining",
    "requests",
    "Requests left in a lane's window, as last reported by Toggl. Full again after `toggl.quota.resets_at`.",
    "task",
    _LANE_TAGS,
)
QUOTA_LIMIT = Gauge(
    "toggl.quota.limit", "requests", "Requests of a lane's window, as far as known.", "task", _LANE_TAGS
)
QUOTA_RESET = Gauge("toggl.quota.resets_at", "seconds since 1970", "When a lane's window ends.", "task", _LANE_TAGS)
DEFERRALS = Counter(
    "toggl.quota.deferrals",
    "deferrals",
    "Deferrals of tasks, which release their worker slot.",
    "task",
    {
        "connection": _CONNECTION,
        "reason": "`quota` (402, or known before), `rate` (429), `permit` (many tasks wait for the pace) or `database` "
        "(that of the shared rate limits is down)",
    },
)
PAGES = Counter("toggl.extract.pages", "pages", "Pages from Toggl that were loaded.", "task", {"stream": _STREAM})
PAGE_ROWS = Counter("toggl.extract.rows", "rows", "Rows on these pages.", "task", {"stream": _STREAM})
LOADED_ROWS = Counter(
    "toggl.load.rows",
    "rows",
    "Rows loaded into the warehouse, by result.",
    "task",
    {
        **_LOAD_TAGS,
        "result": "`inserted`, `updated`, `unchanged`, `absent` (no longer in Toggl) or `rejected` (in "
        "`rejected_records`)",
    },
)
LOAD_TIME = Timer(
    "toggl.load.duration", "seconds", "Duration of a transaction that loads rows and progress.", "task", _LOAD_TAGS
)
WATERMARK = Gauge(
    "toggl.load.watermark",
    "seconds since 1970",
    "Everything that changed in Toggl before this time is loaded; for time entries, the days of the last year up to "
    "tomorrow. Its age is the data freshness. Unlike an age, it stays correct when it is no longer sent.",
    "task",
    _WATERMARK_TAGS,
)
WATERMARK_AGE = Gauge(
    "toggl.load.watermark_age", "seconds", "The age of the watermark at the end of a run.", "task", _WATERMARK_TAGS
)
LATE_RUNS = Counter(
    "toggl.freshness.late",
    "runs",
    "Runs that missed their deadline, of DAGs with the deadline callback of `triggers.deadlines`.",
    "triggerer",
    {"dag": "ID of the DAG"},
)
RUN_TIME = Timer(
    "toggl.run.duration",
    "seconds",
    "Duration of one attempt of a run, up to its end or a deferral.",
    "task",
    _LOAD_TAGS,
)
RUN_REQUESTS = Counter(
    "toggl.run.requests",
    "requests",
    "Requests sent by the runs of a stream.",
    "task",
    {"by": "`pull` or `reconcile`", "stream": _STREAM},
)
DRAINED = Counter(
    "toggl.drain.events",
    "events",
    "Events that a drain has processed.",
    "task",
    {"result": "`loaded`, `skipped` (no table has such records) or `rejected`"},
)
DRAIN_DELAY = Timer(
    "toggl.drain.delay", "seconds", "Time between storing the oldest event of a batch and loading it.", "task"
)
COMPARED_DAYS = Counter("toggl.reconcile.days", "days", "Days compared with Toggl.", "task")
DIFFERENCES = Counter(
    "toggl.reconcile.entries",
    "entries",
    "Differences found, and repaired except `unverified` ones.",
    "task",
    {"result": "`added`, `edited`, `deleted` or `unverified`"},
)
REFUSED_WINDOWS = Counter(
    "toggl.reconcile.refused",
    "windows",
    "Windows with so many missing entries that none was marked as deleted (`AbsenceRefused`).",
    "task",
)
ENSURED = Counter(
    "toggl.subscription.ensured",
    "subscriptions",
    "Subscriptions ensured, by the change that was needed.",
    "task",
    {"connection": _CONNECTION, "action": "`nothing`, `create`, `replace`, `enable` or `disable`"},
)

CATALOGUE: Mapping[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
"""All metrics by name."""
