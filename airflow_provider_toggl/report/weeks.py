"""Hours and amounts by week and client, summed from the facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core.load.merging.changed_days import as_day
from airflow_provider_toggl.core.load.tables.state import find_setting
from airflow_provider_toggl.report.picture import read_rows

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.warehouse import Warehouse

NO_CLIENT = "(no client)"
OTHERS = "others"
MOST_CLIENTS = 8
"""Clients that are named; the rest are summed as others."""

# From the entries, in seconds and cents; the facts have hours, which are fractions. Dates are literals, which each
# engine compares with its own type for dates.
_SUMS = """
select f.local_date, f.client_id, f.client_name, f.currency, sum(e.duration), sum(e.billable_amount_cents)
from time_entry_facts as f join live_time_entries as e on e.id = f.time_entry_id
where f.workspace_id = ? and f.local_date >= '{begin}' and f.local_date < '{end}' and e.duration is not null
group by f.local_date, f.client_id, f.client_name, f.currency
"""
_WEEK = timedelta(days=7)


@dataclass
class WeeklyReport:
    """The figures of a report.

    :param weeks: the Mondays of its weeks, in order and without a gap.
    :param clients: names as shown, the one with most hours first; ``others`` and ``(no client)`` last.
    :param seconds: tracked seconds by week and client.
    :param cents: amounts by currency, and by week and client; none without a currency.
    :param zone: IANA name of the zone of the days.
    :param as_of: everything up to this instant is included (UTC); None if that is not known.
    :param names: the name of each client as shown, by its id; None is ``(no client)``.
    """

    weeks: list[date]
    clients: list[str] = field(default_factory=list)
    seconds: dict[tuple[date, str], int] = field(default_factory=dict)
    cents: dict[str, dict[tuple[date, str], int]] = field(default_factory=dict)
    zone: str = "UTC"
    as_of: datetime | None = None
    names: dict[int | None, str] = field(default_factory=dict)

    def hours(self, week: date, client: str | None = None) -> float:
        """Return the hours of a week, of one client or of all."""
        names = self.clients if client is None else [client]
        return sum(self.seconds.get((week, name), 0) for name in names) / 3600

    def amount(self, currency: str, week: date, client: str | None = None) -> float:
        """Return the amount of a week in one currency, of one client or of all."""
        names = self.clients if client is None else [client]
        return sum(self.cents.get(currency, {}).get((week, name), 0) for name in names) / 100


def monday_of(day: date) -> date:
    """Return the Monday of a day's ISO week."""
    return day - timedelta(days=day.weekday())


def build_report(warehouse: Warehouse, workspace_id: int, weeks: int = 12, last: date | None = None) -> WeeklyReport:
    """Return the report of the latest weeks.

    :param last: a day of the last week; today by default, in the zone of the facts.
    """
    state = warehouse.find_state("time_entries", str(workspace_id))
    with warehouse.transaction(writing=False) as session:
        zone = find_setting(session, "timezone", "UTC")
    end = monday_of(last or datetime.now(ZoneInfo(zone)).date()) + _WEEK
    begin = end - weeks * _WEEK
    sums = read_rows(warehouse, _SUMS.format(begin=begin, end=end), [workspace_id])
    found = [
        (as_day(day), client_id, name, currency, int(seconds), cents)
        for day, client_id, name, currency, seconds, cents in sums
    ]
    report = WeeklyReport([begin + n * _WEEK for n in range(weeks)], zone=zone)
    report.as_of = state.watermark if state else None
    names = _show_clients(found)
    for day, client_id, _, currency, seconds, cents in found:
        key = (monday_of(day), names[client_id])
        report.seconds[key] = report.seconds.get(key, 0) + seconds
        if currency and cents is not None:
            amounts = report.cents.setdefault(currency, {})
            amounts[key] = amounts.get(key, 0) + int(cents)
    report.names = names
    report.clients = list(dict.fromkeys(names.values()))
    return report


def _show_clients(found: list[tuple[date, int | None, str | None, Any, int, Any]]) -> dict[int | None, str]:
    """Return the shown name of each client, in the order of the report."""
    totals: dict[int | None, int] = {}
    known: dict[int, str] = {}
    for _, client_id, name, _, seconds, _ in found:
        totals[client_id] = totals.get(client_id, 0) + seconds
        if client_id is not None:
            known[client_id] = name or f"client {client_id}"
    ranked = sorted(known, key=lambda id_: (-totals[id_], known[id_], id_))
    # One more name takes no more space than "others" would.
    named = ranked if len(ranked) <= MOST_CLIENTS + 1 else ranked[:MOST_CLIENTS]
    texts = [known[id_] for id_ in named]
    taken = {OTHERS, NO_CLIENT}
    shown: dict[int | None, str] = {}
    for id_ in named:
        name = known[id_]
        shown[id_] = f"{name} ({id_})" if texts.count(name) > 1 or name in taken else name
    shown |= dict.fromkeys(ranked[len(named) :], OTHERS)
    if None in totals:
        shown[None] = NO_CLIENT
    return shown
