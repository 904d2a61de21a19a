"""The charts of the page: numbers of the last two days by the hour. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_provider_toggl.core.client.limits.store import HourlyUsage
from airflow_provider_toggl.core.events.activity_log import Measurement
from airflow_provider_toggl.core.operate.health.records import parse_stream_key

HOURS = 48
_HOUR = timedelta(hours=1)
_OUTCOMES = ("stored", "duplicate", "ping")

Value = float | None


@dataclass(frozen=True)
class ChartBar:
    """A line, or one part of each stacked bar.

    :param values: one for each hour.
    :param is_limit: it is a limit that others are compared with.
    """

    name: str
    values: tuple[Value, ...]
    is_limit: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart.

    :param key: an identifier for links and styles.
    :param unit: of all values.
    :param shape: ``bars`` or ``lines``.
    :param hours: the starts of the hours, in UTC.
    :param remark: a note below the chart.
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
    """Return the starts of the last hours, including the current one.

    :param now: aware.
    """
    last = now.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    return tuple(last - _HOUR * back for back in reversed(range(count)))


def deliveries_chart(samples: Iterable[Measurement], now: datetime) -> Chart:
    """Return deliveries per hour: stored, duplicate, PING and refused.

    :param samples: the receiver's counts.
    """
    hours = hours_until(now)
    sums: dict[str, list[float]] = {name: [0.0] * len(hours) for name in (*_OUTCOMES, "refused")}
    for sample in samples:
        outcome = sample.name.rpartition("/")[2]
        index = _find_index(sample.at, hours)
        if index is not None:
            sums[outcome if outcome in _OUTCOMES else "refused"][index] += sample.value
    columns = tuple(ChartBar(name, tuple(values)) for name, values in sums.items())
    return Chart("deliveries", "Deliveries per hour", "deliveries", "bars", hours, columns)


def requests_chart(hourly_usage: Iterable[HourlyUsage], now: datetime) -> Chart:
    """Return requests of this host per hour and lane, with the quota of each lane."""
    hours = hours_until(now)
    requests: dict[str, list[float]] = {}
    totals: dict[str, int] = {}
    for tally in hourly_usage:
        index = _find_index(datetime.fromtimestamp(tally.hour, tz=timezone.utc), hours)
        if index is not None:
            requests.setdefault(tally.lane, [0.0] * len(hours))[index] += tally.requests
        if tally.total is not None:
            totals[tally.lane] = tally.total
    columns = [ChartBar(lane, tuple(values)) for lane, values in requests.items()]
    columns += [
        ChartBar(f"limit of {lane}", (float(total),) * len(hours), is_limit=True)
        for lane, total in totals.items()
        if lane in requests
    ]
    remark = "Requests of this host by clock hour. A quota window of Toggl starts with its first request."
    return Chart("requests", "Requests per hour, and the quota", "requests", "bars", hours, tuple(columns), remark)


def freshness_chart(samples: Sequence[Measurement], now: datetime) -> Chart:
    """Return the greatest age of each stream's watermark within each hour.

    :param samples: watermarks in seconds since the epoch, at the times of the loads.
    """
    hours = hours_until(now)
    streams: dict[tuple[int, str, str], list[Measurement]] = {}
    for sample in samples:
        streams.setdefault(parse_stream_key(sample.name), []).append(sample)
    several_workspaces = len({workspace_id for workspace_id, _, _ in streams}) > 1
    several_warehouses = len({warehouse for _, _, warehouse in streams}) > 1
    columns = []
    for (workspace_id, stream, warehouse), known in streams.items():
        name = f"{workspace_id}/{stream}" if several_workspaces else stream
        name += f" in {warehouse or 'unknown'}" if several_warehouses else ""
        columns.append(ChartBar(name, tuple(_greatest_age(known, hour, now) for hour in hours)))
    remark = "The greatest age within each hour. It grows until the stream is loaded again."
    return Chart("freshness", "Data freshness: age in hours", "hours", "lines", hours, tuple(columns), remark)


def _greatest_age(known: Sequence[Measurement], hour: datetime, now: datetime) -> Value:
    """Return the greatest age of a watermark within an hour, in hours; None before its first load."""
    end = min(hour + _HOUR, now)
    before = [sample for sample in known if sample.at <= hour]
    within = [sample for sample in known if hour < sample.at <= end]
    # A watermark is oldest just before the next one replaces it.
    ends = [*(sample.at for sample in within), end]
    marks = [*before[-1:], *within]
    if not marks:
        return None
    ages = [at.timestamp() - sample.value for sample, at in zip(marks, ends[-len(marks) :], strict=True)]
    return round(max(0.0, *ages) / 3600, 2)


def _find_index(at: datetime, hours: Sequence[datetime]) -> int | None:
    index = int((at - hours[0]) // _HOUR)
    return index if 0 <= index < len(hours) else None
