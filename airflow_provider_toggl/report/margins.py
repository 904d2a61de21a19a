"""Margins: what a client's hours are worth, minus what they cost, by the rates that held when they were tracked."""

# ruff: noqa: S608 - the only words put into the statements are this package's
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.report.drawing import COLOURS, MUTED, new_figure, shorten, style_bars
from airflow_provider_toggl.report.picture import Picture, read_rows, why_empty
from airflow_provider_toggl.report.weeks import OTHERS, WeeklyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from airflow_provider_toggl.core.load.warehouse import Warehouse

TITLE = "Margin by client"
UNKNOWN = "unknown currency"

_HAS_RATES = f'select count(*) from "rates" where "workspace_id" = ? and {is_live()}'
_HOURS = """
select f."client_id", e."billable", e."duration", a."rate", a."currency", a."labor_cost", a."cost_currency"
from "time_entry_amounts" as a
    join "time_entry_facts" as f on f."time_entry_id" = a."time_entry_id"
    join "live_time_entries" as e on e."id" = a."time_entry_id"
where a."workspace_id" = ? and f."local_date" >= '{begin}' and f."local_date" < '{end}' and e."duration" is not null
"""
_AMOUNT, _COST = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class Money:
    """An amount of one currency.

    :param amount: units of the currency, exact.
    :param currency: ISO 4217 code; None where it is not known, which is a currency of its own here.
    """

    amount: Fraction
    currency: str | None


@dataclass(frozen=True)
class Worth:
    """What an entry is worth.

    :param client: as shown.
    :param amount: None where it is not billable, or no rate is known.
    :param cost: None where no labor cost is known.
    :param is_unpriced: billable, and without a known rate.
    """

    client: str
    seconds: int
    amount: Money | None
    cost: Money | None
    is_unpriced: bool = False


@dataclass
class Margin:
    """A client's sums in one currency.

    :param foreign: currencies of costs of hours that are billed in this one: there is no margin then.
    :param uncosted: seconds that are billed and have no known cost.
    :param unpriced: billable seconds that have a cost and no known rate.
    """

    client: str
    amount: Fraction = Fraction(0)
    cost: Fraction = Fraction(0)
    foreign: set[str] = field(default_factory=set)
    uncosted: int = 0
    unpriced: int = 0

    @property
    def margin(self) -> Fraction | None:
        """Amount minus cost; None where costs are in another currency, or none is known."""
        if self.foreign or (self.uncosted and not self.cost):
            return None
        return self.amount - self.cost

    @property
    def label(self) -> str:
        """The margin as text, or why there is none. A star means that rates are missing, so the true margin differs."""
        if self.foreign:
            return f"no margin: costs in {', '.join(sorted(self.foreign))}"
        margin = self.margin
        if margin is None:
            return "no margin: no known cost"
        share = f" ({float(margin / self.amount):.0%})" if self.amount else ""
        return f"{float(margin):,.0f}{share}" + ("*" if self.uncosted or self.unpriced else "")


@dataclass(frozen=True)
class Margins:
    """Margins by currency, the client with the largest amount first.

    :param uncosted: seconds without a known cost.
    :param unpriced: billable seconds without a known rate.
    """

    by_currency: dict[str, list[Margin]]
    uncosted: int = 0
    unpriced: int = 0


def add_up(entries: Iterable[Worth]) -> Margins:
    """Add up amounts and costs by currency and client. Amounts in different currencies are never added up.

    An entry belongs to the currency of its amount, or of its cost if it has no amount.
    """
    found: dict[tuple[str, str], Margin] = {}
    uncosted = unpriced = 0
    for one in entries:
        uncosted += one.seconds if one.cost is None else 0
        unpriced += one.seconds if one.is_unpriced else 0
        money = one.amount or one.cost
        if money is None:
            continue
        currency = money.currency or UNKNOWN
        margin = found.setdefault((currency, one.client), Margin(one.client))
        margin.amount += one.amount.amount if one.amount else 0
        margin.unpriced += one.seconds if one.is_unpriced else 0
        if one.cost is None:
            margin.uncosted += one.seconds
        elif (one.cost.currency or UNKNOWN) == currency:
            margin.cost += one.cost.amount
        else:
            margin.foreign.add(one.cost.currency or UNKNOWN)
    by_currency: dict[str, list[Margin]] = {}
    for (currency, _), margin in sorted(found.items(), key=lambda item: (item[0][0], -item[1].amount, -item[1].cost)):
        by_currency.setdefault(currency, []).append(margin)
    return Margins(by_currency, uncosted, unpriced)


def read_margins(warehouse: Warehouse, workspace_id: int, report: WeeklyReport) -> Margins | None:
    """Read entries and rates and add up; None if no rate is stored."""
    if read_rows(warehouse, _HAS_RATES, [workspace_id]) == [(0,)]:
        return None
    end = report.weeks[-1] + timedelta(days=7)

    def value(client_id: Any, billable: Any, seconds: Any, *prices: Any) -> Worth:
        rate, currency, labor_cost, cost_currency = prices
        amount = _price(seconds, rate, currency)
        client = report.names.get(None if client_id is None else int(client_id), OTHERS)
        return Worth(
            client, int(seconds), amount, _price(seconds, labor_cost, cost_currency), bool(billable) and not amount
        )

    hours = read_rows(warehouse, _HOURS.format(begin=report.weeks[0], end=end), [workspace_id])
    return add_up(value(*row) for row in hours)


def _price(seconds: Any, rate: Any, currency: str | None) -> Money | None:
    return None if rate is None else Money(Fraction(str(rate)) * int(seconds) / 3600, currency)


def picture_margins(warehouse: Warehouse, workspace_id: int, report: WeeklyReport) -> Picture:
    """Return amounts, costs and margins by client, or why there are none."""
    found = read_margins(warehouse, workspace_id, report)
    if found is None:
        reason = why_empty("rates", "a plan with billable rates, and a token whose owner may see them")
        return Picture("margins", TITLE, (reason,))
    if not found.by_currency:
        return Picture("margins", TITLE, ("Left out: no hours in these weeks have a known rate or cost.",))
    head = ("Client", "Currency", "Amount", "Cost", "Margin")
    rows: list[tuple[str, ...]] = [
        (one.client, currency, f"{float(one.amount):,.2f}", f"{float(one.cost):,.2f}", one.label)
        for currency, margins in found.by_currency.items()
        for one in margins
    ]
    notes = _notes(found)
    return Picture("margins", TITLE, notes, head, rows, partial(_draw, found, notes))


def _notes(found: Margins) -> tuple[str, ...]:
    counted = "Hours times the rate and the labor cost that held when they were tracked. Fixed fees are not included."
    missing = [
        f"{seconds / 3600:,.1f} {what}"
        for seconds, what in (
            (found.uncosted, "hours have no known cost"),
            (found.unpriced, "billable hours have no known rate"),
        )
        if seconds
    ]
    if not missing:
        return (counted,)
    return (
        counted,
        f"{' and '.join(missing)}: not counted; * marks margins that would change.",
    )


def _draw(found: Margins, notes: tuple[str, ...]) -> Figure:
    above, each, gap, below = 1.1, 0.46, 0.75, 0.65 + 0.19 * len(notes)
    heights = [each * len(margins) for margins in found.by_currency.values()]
    height = above + sum(heights) + gap * (len(heights) - 1) + below
    figure = new_figure(height, TITLE, *notes)
    top = height - above
    axis = None
    for (currency, margins), part in zip(found.by_currency.items(), heights, strict=True):
        axis = figure.add_axes((0.22, (top - part) / height, 0.52, part / height))
        _draw_currency(axis, currency, margins)
        top -= part + gap
    return figure


def _draw_currency(axis: Axes, currency: str, margins: list[Margin]) -> None:
    places = range(len(margins))
    for offset, colour, name, values in (
        (-0.19, _AMOUNT, "amount", [float(one.amount) for one in margins]),
        (0.19, _COST, "cost", [float(one.cost) for one in margins]),
    ):
        axis.barh([place + offset for place in places], values, 0.36, color=colour, label=name)
    style_bars(axis, [shorten(one.client) for one in margins])
    highest = max(float(max(one.amount, one.cost)) for one in margins)
    axis.set_xlim(0, highest * 1.02 or 1)
    axis.set_title(currency, loc="left", size=10.5)
    axis.text(1.03, 1, "margin", transform=axis.transAxes, size=9.5, color=MUTED, va="bottom")
    for place, one in zip(places, margins, strict=True):
        axis.text(1.03, place, one.label, transform=axis.get_yaxis_transform(), va="center", size=9.5)
    axis.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        ncols=2,
        borderpad=0,
        borderaxespad=0.3,
        handlelength=1.1,
    )
