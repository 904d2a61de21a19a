"""What this package measures: one catalogue, and the port by which measurements leave.

Nothing is measured anywhere that is not declared here; the reference is made from it. As with logging,
one process has one place where measurements go: none until :func:`send_to` names it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

log = logging.getLogger(__name__)

Kind = Literal["counter", "gauge", "timer"]

#: Without this no name of ours is told from those of Airflow itself.
PREFIX = "toggl."


class Sink(Protocol):
    """Where measurements go. May be called in any thread, an event loop's too: it must not wait for anything."""

    def count(self, name: str, number: int, tags: Mapping[str, str]) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        """Set what is so now."""

    def timing(self, name: str, seconds: float, tags: Mapping[str, str]) -> None:
        """Add one duration."""


@dataclass(frozen=True)
class Metric:
    """One thing that is measured.

    :param name: with dots, behind the prefix of Airflow's metrics.
    :param unit: of its values.
    :param tags: the values, in words, by the name of each tag; every one is on every measurement.
    :param meaning: what it says, in a sentence.
    :param sender: which process sends it: ``receiver``, ``triggerer`` or ``task``.
    """

    name: str
    unit: str
    meaning: str
    sender: str
    tags: Mapping[str, str] = field(default_factory=dict)

    kind: ClassVar[Kind]


class Counter(Metric):
    """How often something happened."""

    kind: ClassVar[Kind] = "counter"

    def add(self, number: int = 1, **tags: object) -> None:
        """Count so many more; none is not sent."""
        if _sink is not None and number:
            try:
                _sink.count(self.name, number, _texts(tags))
            except Exception as error:  # noqa: BLE001 - work must not fail because it cannot be measured
                _tell(error)


class Gauge(Metric):
    """What is so now."""

    kind: ClassVar[Kind] = "gauge"

    def set(self, value: float, **tags: object) -> None:
        """Say what it is."""
        if _sink is not None:
            try:
                _sink.gauge(self.name, value, _texts(tags))
            except Exception as error:  # noqa: BLE001 - work must not fail because it cannot be measured
                _tell(error)


class Timer(Metric):
    """How long something takes."""

    kind: ClassVar[Kind] = "timer"

    def record(self, seconds: float, **tags: object) -> None:
        """Tell one duration; a clock that was turned back makes it zero."""
        if _sink is not None:
            try:
                _sink.timing(self.name, max(0.0, seconds), _texts(tags))
            except Exception as error:  # noqa: BLE001 - work must not fail because it cannot be measured
                _tell(error)


_sink: Sink | None = None
_told: set[type[Exception]] = set()


def send_to(sink: Sink | None) -> None:
    """Send this process's measurements there from now on; None: nowhere."""
    global _sink  # noqa: PLW0603 - one place for the whole process, as logging has
    _sink = sink
    _told.clear()


def is_sent_to(sink: Sink) -> bool:
    """Whether measurements go there."""
    return _sink is sink


def _texts(tags: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in tags.items()}


def _tell(error: Exception) -> None:
    """Say once for each kind of error that measurements are lost."""
    if type(error) not in _told:
        _told.add(type(error))
        log.warning("Measurements are lost, work goes on: %s: %s", type(error).__name__, error)


_STREAM = "a stream, `time_entries` or another"
_LANDED_STREAM = f"{_STREAM}; `events` for what a drain lands"
_WAREHOUSE = "connection and schema, as in `duckdb_default.toggl`"
_BY = "`pull`, `drain` or `reconcile`"
_CONNECTION = "ID of the Toggl connection"
_STORE = "connection ID of the event store, `default` for the file"
_API = "`track`, `reports` or `webhooks`"
_LANE = "`user`, `organization_<id>`, or `workspace_<id>` while its organization is not known"

DELIVERIES = Counter(
    f"{PREFIX}receive.deliveries",
    "requests",
    "Requests to the receiver, by how they ended. Sent every 10 s.",
    "receiver",
    {
        "outcome": "`stored`, `duplicate`, `ping`; refused: `malformed`, `malformed_signature`, `unsigned`, "
        "`wrong_signature`, `unknown_connection`, `method`, `too_slow`, `too_large`, `cut`; answered 503: `busy`, "
        "`no_connection`, `unavailable` (the store), `failed`"
    },
)
APPEND = Timer(
    f"{PREFIX}append.duration",
    "seconds",
    "One durable transaction of the receiver, which many deliveries may share; 100 in 10 s, chosen at random.",
    "receiver",
)
LAST_SEQ = Gauge(
    f"{PREFIX}store.last_seq",
    "events",
    "The greatest number that the event store has given to an event.",
    "receiver, triggerer, task",
    {"store": _STORE},
)
LAG = Gauge(
    f"{PREFIX}store.lag",
    "events",
    "How many events are behind the place up to which a consumer has done its work.",
    "receiver, triggerer, task",
    {"store": _STORE, "consumer": "name of the consumer: of a drain, a watcher or a sensor"},
)
TAIL_READS = Counter(
    f"{PREFIX}tail.reads",
    "reads",
    "Queries that the triggerer sent to the event store and that found events, whatever the number of waiters.",
    "triggerer",
    {"which": "`new` or `earlier` events"},
)
TAIL_EVENTS = Counter(
    f"{PREFIX}tail.events", "events", "Events that those reads found.", "triggerer", {"which": "`new` or `earlier`"}
)
TAIL_OUTAGES = Counter(
    f"{PREFIX}tail.outages", "outages", "How often the event store could not be read any more.", "triggerer"
)
FIRED = Counter(
    f"{PREFIX}trigger.fired",
    "trigger events",
    "How often a trigger fired: a sensor's wait ended, or a watcher told a burst.",
    "triggerer",
    {"way": "`wait` or `watch`"},
)
FIRED_EVENTS = Counter(
    f"{PREFIX}trigger.events", "events", "Events of Toggl that they told.", "triggerer", {"way": "`wait` or `watch`"}
)
REQUESTS = Counter(
    f"{PREFIX}request.count",
    "requests",
    "Requests sent to Toggl, each try of its own.",
    "task",
    {
        "connection": _CONNECTION,
        "lane": _LANE,
        "api": _API,
        "status": "`2xx`, `3xx`, `4xx`, `5xx`, and apart `402` (quota or plan) and `429` (too fast); `none` without an "
        "answer",
    },
)
REQUEST_TIME = Timer(
    f"{PREFIX}request.duration",
    "seconds",
    "From a request's departure to the end of its answer; waiting for its turn is not in it.",
    "task",
    {"connection": _CONNECTION, "api": _API},
)
WAIT = Timer(
    f"{PREFIX}request.wait",
    "seconds",
    "A wait of a running task before a request. How often it waits is the number of these.",
    "task",
    {
        "connection": _CONNECTION,
        "reason": "`pace` (its turn at the leaky bucket), `share` (others' part of the quota) or `retry`",
    },
)
QUOTA_LEFT = Gauge(
    f"{PREFIX}quota.remaining",
    "requests",
    "Requests left in a lane's window, as last told by Toggl. Full again after `toggl.quota.resets_at`.",
    "task",
    {"connection": _CONNECTION, "lane": _LANE},
)
QUOTA_LIMIT = Gauge(
    f"{PREFIX}quota.limit",
    "requests",
    "Requests that a lane's window has, as far as seen.",
    "task",
    {"connection": _CONNECTION, "lane": _LANE},
)
QUOTA_RESET = Gauge(
    f"{PREFIX}quota.resets_at",
    "seconds since 1970",
    "When a lane's window ends.",
    "task",
    {"connection": _CONNECTION, "lane": _LANE},
)
DEFERRALS = Counter(
    f"{PREFIX}quota.deferrals",
    "deferrals",
    "How often a task gave its worker slot back to wait.",
    "task",
    {"connection": _CONNECTION, "reason": "`quota` (402, or known before) or `rate` (429)"},
)
PAGES = Counter(f"{PREFIX}extract.pages", "pages", "Pages of Toggl's that were landed.", "task", {"stream": _STREAM})
PAGE_ROWS = Counter(f"{PREFIX}extract.rows", "rows", "Rows on those pages.", "task", {"stream": _STREAM})
LOADED_ROWS = Counter(
    f"{PREFIX}land.rows",
    "rows",
    "What landing did to rows of the warehouse.",
    "task",
    {
        "by": _BY,
        "stream": _LANDED_STREAM,
        "result": "`inserted`, `updated`, `unchanged`, `absent` (no longer in Toggl) or `rejected` (kept in "
        "`rejected_records`)",
    },
)
LOAD_TIME = Timer(
    f"{PREFIX}land.duration",
    "seconds",
    "One transaction of rows and progress.",
    "task",
    {"by": _BY, "stream": _LANDED_STREAM},
)
WATERMARK = Gauge(
    f"{PREFIX}land.watermark",
    "seconds since 1970",
    "Everything that changed in Toggl before this moment is landed; of time entries, the days of the last year up to "
    "tomorrow. Its distance to now is the freshness: unlike an age, it goes on growing when nobody sends it any more.",
    "task",
    {"by": "`pull` or `reconcile`", "stream": _STREAM, "workspace": "ID of the workspace", "warehouse": _WAREHOUSE},
)
WATERMARK_AGE = Gauge(
    f"{PREFIX}land.watermark_age",
    "seconds",
    "How old that moment was at the end of the run that told it.",
    "task",
    {"by": "`pull` or `reconcile`", "stream": _STREAM, "workspace": "ID of the workspace", "warehouse": _WAREHOUSE},
)
LATE_RUNS = Counter(
    f"{PREFIX}freshness.late",
    "runs",
    "Runs whose deadline passed before they were done, of DAGs with the callback `triggers.deadlines.tell_late`.",
    "triggerer",
    {"dag": "ID of the DAG"},
)
RUN_TIME = Timer(
    f"{PREFIX}run.duration",
    "seconds",
    "One attempt of a run, from its begin to its end or to a deferral.",
    "task",
    {"by": _BY, "stream": _LANDED_STREAM},
)
RUN_REQUESTS = Counter(
    f"{PREFIX}run.requests",
    "requests",
    "Requests that runs of a stream sent.",
    "task",
    {"by": "`pull` or `reconcile`", "stream": _STREAM},
)
DRAINED = Counter(
    f"{PREFIX}drain.events",
    "events",
    "Events that a drain has done with.",
    "task",
    {"result": "`landed`, `passed_over` (no table keeps such) or `rejected`"},
)
DRAIN_DELAY = Timer(
    f"{PREFIX}drain.delay",
    "seconds",
    "How long the oldest event of a batch had been in the store when it was landed.",
    "task",
)
COMPARED_DAYS = Counter(f"{PREFIX}reconcile.days", "days", "Days that were compared with Toggl.", "task")
DIFFERENCES = Counter(
    f"{PREFIX}reconcile.entries",
    "entries",
    "What comparing found, and repaired but for what is not proved.",
    "task",
    {"result": "`added`, `edited`, `deleted` or `unproved`"},
)
REFUSED_WINDOWS = Counter(
    f"{PREFIX}reconcile.refused",
    "windows",
    "Windows of which so much was missing that nothing was marked (`AbsenceRefused`).",
    "task",
)
ENSURED = Counter(
    f"{PREFIX}subscription.ensured",
    "subscriptions",
    "What was done to bring a subscription to what is declared.",
    "task",
    {"connection": _CONNECTION, "action": "`nothing`, `create`, `replace`, `enable` or `disable`"},
)

CATALOGUE: Mapping[str, Metric] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}
"""All metrics by their names."""
