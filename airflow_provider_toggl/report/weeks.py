"""Hours and amounts by week and client, from sums by day that are computed again only for days that changed.

Sums are stored by project, in whole seconds and cents. Clients and their names are joined when the report is read, so
renaming a client, or moving a project to another client, changes no day.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core.load.merging.changed_days import as_day, as_parameter
from airflow_provider_toggl.core.load.tables.state import find_setting

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.engines.contract import Session
    from airflow_provider_toggl.core.load.warehouse import Warehouse

NO_CLIENT = "(no client)"
OTHERS = "others"
MOST_CLIENTS = 8
"""Clients that are named; the rest are summed as others."""
TABLE = "report_days"

_CREATE = f"""
create table if not exists {TABLE} (
    workspace_id bigint not null,
    "day" date not null,
    project_id bigint,
    currency varchar(20),
    seconds bigint not null,
    cents bigint
)
"""
_DELETE = f'delete from {TABLE} where workspace_id = ? and "day" in ({{}})'  # noqa: S608 - a constant of this module
# From the entries, in seconds and cents; the facts have hours, which are fractions.
_INSERT = f"""
insert into {TABLE} (workspace_id, "day", project_id, currency, seconds, cents)
select f.workspace_id, f.local_date, f.project_id, f.currency, sum(e.duration), sum(e.billable_amount_cents)
from time_entry_facts as f join live_time_entries as e on e.id = f.time_entry_id
where f.workspace_id = ? and f.local_date in ({{}}) and e.duration is not null
group by f.workspace_id, f.local_date, f.project_id, f.currency
"""  # noqa: S608 - a constant of this module
_FIND = f"""
select d."day", p.client_id, c.name, d.currency, d.seconds, d.cents
from {TABLE} as d
    left join projects as p on p.id = d.project_id
    left join clients as c on c.id = p.client_id
where d.workspace_id = ? and d."day" >= ? and d."day" < ?
"""  # noqa: S608 - a constant of this module
_WEEK = timedelta(days=7)
#: Days in one statement; each statement reads all facts.
_CHUNK = 400


@dataclass
class WeeklyReport:
    """The figures of a report.

    :param weeks: the Mondays of its weeks, in order and without a gap.
    :param clients: names as shown, the one with most hours first; ``others`` and ``(no client)`` last.
    :param seconds: tracked seconds by week and client.
    :param cents: amounts by currency, and by week and client; none without a currency.
    :param zone: IANA name of the zone of the days.
    :param as_of: everything up to this instant is included (UTC); None if that is not known.
    """

    weeks: list[date]
    clients: list[str] = field(default_factory=list)
    seconds: dict[tuple[date, str], int] = field(default_factory=dict)
    cents: dict[str, dict[tuple[date, str], int]] = field(default_factory=dict)
    zone: str = "UTC"
    as_of: datetime | None = None

    def hours(self, week: date, client: str | None = None) -> float:
        """Return the hours of a week, of one client or of all."""
        names = self.clients if client is None else [client]
        return sum(self.seconds.get((week, name), 0) for name in names) / 3600

    def amount(self, currency: str, week: date, client: str | None = None) -> float:
        """Return the amount of a week in one currency, of one client or of all."""
        names = self.clients if client is None else [client]
        return sum(self.cents.get(currency, {}).get((week, name), 0) for name in names) / 100


def refresh_days(session: Session, workspace_id: int, days: Iterable[date]) -> int:
    """Compute the sums of days again in an open transaction; return how many days.

    Computing them twice changes nothing.
    """
    session.run(_CREATE)
    wanted = [as_parameter(session, day) for day in days]
    for begin in range(0, len(wanted), _CHUNK):
        some = wanted[begin : begin + _CHUNK]
        marks = ", ".join("?" for _ in some)
        for statement in (_DELETE, _INSERT):
            session.run(statement.format(marks), [workspace_id, *some])
    return len(wanted)


def monday_of(day: date) -> date:
    """Return the Monday of a day's ISO week."""
    return day - timedelta(days=day.weekday())


def read_weeks(
    session: Session, workspace_id: int, last: date, weeks: int = 12, *, as_of: datetime | None = None
) -> WeeklyReport:
    """Return the report of some weeks.

    :param last: a day of the last week.
    :param weeks: how many weeks.
    :param as_of: the instant to show as such.
    """
    end = monday_of(last) + _WEEK
    begin = end - weeks * _WEEK
    session.run(_CREATE)
    bounds = (as_parameter(session, begin), as_parameter(session, end))
    found = [
        (as_day(day), client_id, name, currency, int(seconds), cents)
        for day, client_id, name, currency, seconds, cents in session.run(_FIND, [workspace_id, *bounds])
    ]
    report = WeeklyReport([begin + n * _WEEK for n in range(weeks)], zone=find_zone(session), as_of=as_of)
    names = _show_clients(found)
    for day, client_id, _, currency, seconds, cents in found:
        key = (monday_of(day), names[client_id])
        report.seconds[key] = report.seconds.get(key, 0) + seconds
        if currency and cents is not None:
            amounts = report.cents.setdefault(currency, {})
            amounts[key] = amounts.get(key, 0) + int(cents)
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


def build_report(warehouse: Warehouse, workspace_id: int, weeks: int = 12, last: date | None = None) -> WeeklyReport:
    """Return the report of the latest weeks.

    :param last: a day of the last week; today by default, in the zone of the facts.
    """
    state = warehouse.find_state("time_entries", str(workspace_id))
    with warehouse.transaction() as session:
        last = last or datetime.now(ZoneInfo(find_zone(session))).date()
        return read_weeks(session, workspace_id, last, weeks, as_of=state.watermark if state else None)


def find_zone(session: Session) -> str:
    """Return the IANA name of the zone of the facts' days."""
    return find_setting(session, "timezone", "UTC")
