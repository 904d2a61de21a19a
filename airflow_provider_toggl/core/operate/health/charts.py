"""Numbers over the last two days, hour by hour, as people look at them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_provider_toggl.core.client.limits.hourly_usage import HourTally
from airflow_provider_toggl.core.events.logbook import Sample
from airflow_provider_toggl.core.operate.health.records import stream_key

HOURS = 48
_HOUR = timedelta(hours=1)
_KINDS = ("stored", "duplicate", "ping")

Value = float | None


@dataclass(frozen=True)
class ChartBar:
    """One line, or one kind of bar, of a chart.

    :param is_limit: it is what others are measured by.
    """

    name: str
    values: tuple[Value, ...]
    is_limit: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart.

    :param key: a word for links and styles.
    :param unit: of all its numbers.
    :param shape: ``bars`` or ``lines``.
    :param hours: begins of the hours, in UTC.
    :param remark: what is to be known of its numbers.
    """

    key: str
    title: str
    unit: str
    shape: str
    hours: tuple[datetime, ...]
    columns: tuple[ChartBar, ...]
    remark: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for column in self.columns for value in column.values if not column.is_limit)


def hours_until(now: datetime, count: int = HOURS) -> tuple[datetime, ...]:
    """Return the begins of the last hours, that of ``now`` among them.

    :param now: aware.
    """
    last = now.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    return tuple(last - _HOUR * back for back in reversed(range(count)))


def deliveries_chart(samples: Iterable[Sample], now: datetime) -> Chart:
    """Return how many deliveries there were an hour: stored, duplicate, PING and refused.

    :param samples: the receiver's counts.
    """
    hours = hours_until(now)
    sums: dict[str, list[float]] = {name: [0.0] * len(hours) for name in (*_KINDS, "refused")}
    for sample in samples:
        outcome = sample.name.rpartition("/")[2]
        place = _place(sample.at, hours)
        if place is not None:
            sums[outcome if outcome in _KINDS else "refused"][place] += sample.value
    columns = tuple(ChartBar(name, tuple(values)) for name, values in sums.items())
    return Chart("deliveries", "Deliveries an hour", "deliveries", "bars", hours, columns)


def requests_chart(tallies: Iterable[HourTally], now: datetime) -> Chart:
    """Return how many requests left this host an hour, lane by lane, against what a window gives."""
    hours = hours_until(now)
    requests: dict[str, list[float]] = {}
    totals: dict[str, int] = {}
    for tally in tallies:
        place = _place(datetime.fromtimestamp(tally.hour, tz=timezone.utc), hours)
        if place is not None:
            requests.setdefault(tally.lane, [0.0] * len(hours))[place] += tally.requests
        if tally.total is not None:
            totals[tally.lane] = tally.total
    columns = [ChartBar(lane, tuple(values)) for lane, values in requests.items()]
    columns += [
        ChartBar(f"limit of {lane}", (float(total),) * len(hours), is_limit=True)
        for lane, total in totals.items()
        if lane in requests
    ]
    remark = "Requests of this host, by hours of the clock; Toggl's windows begin with their first request."
    return Chart("requests", "Requests an hour, and the quota", "requests", "bars", hours, tuple(columns), remark)


def freshness_chart(samples: Sequence[Sample], now: datetime) -> Chart:
    """Return how old the watermark of each stream was at most in each hour.

    :param samples: what watermarks were, seconds since the epoch, when they were landed.
    """
    hours = hours_until(now)
    streams: dict[tuple[int, str, str], list[Sample]] = {}
    for sample in samples:
        streams.setdefault(stream_key(sample.name), []).append(sample)
    several_workspaces = len({workspace_id for workspace_id, _, _ in streams}) > 1
    several_warehouses = len({warehouse for _, _, warehouse in streams}) > 1
    columns = []
    for (workspace_id, stream, warehouse), known in streams.items():
        name = f"{workspace_id}/{stream}" if several_workspaces else stream
        name += f" in {warehouse or 'unknown'}" if several_warehouses else ""
        columns.append(ChartBar(name, tuple(_oldest(known, hour, now) for hour in hours)))
    remark = "The greatest age within each hour: it grows until a task lands the stream again."
    return Chart("freshness", "Age of what is landed, in hours", "hours", "lines", hours, tuple(columns), remark)


def _oldest(known: Sequence[Sample], hour: datetime, now: datetime) -> Value:
    """Return how many hours old a watermark was at most within an hour, None before it was known."""
    end = min(hour + _HOUR, now)
    before = [sample for sample in known if sample.at <= hour]
    within = [sample for sample in known if hour < sample.at <= end]
    # A watermark is oldest just before the next one takes its place.
    ends = [*(sample.at for sample in within), end]
    marks = [*before[-1:], *within]
    if not marks:
        return None
    ages = [at.timestamp() - sample.value for sample, at in zip(marks, ends[-len(marks) :], strict=True)]
    return round(max(0.0, *ages) / 3600, 2)


def _place(at: datetime, hours: Sequence[datetime]) -> int | None:
    place = int((at - hours[0]) // _HOUR)
    return place if 0 <= place < len(hours) else None
