from __future__ import annotations

from fractions import Fraction

from airflow_provider_toggl.report.margins import UNKNOWN, Margin, Money, Worth, add_up

HOUR = 3600


def worth(amount: int | None = None, cost: int | None = None, **fields: str | bool | None) -> Worth:
    currency, cost_currency = fields.get("currency", "EUR"), fields.get("cost_currency", "EUR")
    return Worth(
        str(fields.get("client", "Client")),
        HOUR,
        None if amount is None else Money(Fraction(amount), currency),  # type: ignore[arg-type]
        None if cost is None else Money(Fraction(cost), cost_currency),  # type: ignore[arg-type]
        bool(fields.get("unpriced")),
    )


def test_a_margin_is_amount_minus_cost() -> None:
    found = add_up([worth(100, 40), worth(100, 50), worth(None, 10)])
    (margin,) = found.by_currency["EUR"]
    assert (margin.amount, margin.cost, margin.margin, margin.label) == (200, 100, 100, "100 (50%)")
    assert (found.uncosted, found.unpriced) == (0, 0)


def test_currencies_are_never_added_up() -> None:
    found = add_up([worth(100, 40), worth(7, 3, currency="USD", cost_currency="USD"), worth(1, 1, currency=None)])
    assert {currency: [one.amount for one in some] for currency, some in found.by_currency.items()} == {
        "EUR": [100],
        "USD": [7],
        UNKNOWN: [1],
    }


def test_costs_in_another_currency_leave_no_margin() -> None:
    found = add_up([worth(100, 40, cost_currency="USD"), worth(100, 40)])
    (margin,) = found.by_currency["EUR"]
    assert (margin.amount, margin.margin, margin.label) == (200, None, "no margin: costs in USD")


def test_what_is_not_known_is_not_0() -> None:
    found = add_up(
        [worth(100), worth(None, None, unpriced=True), worth(50, 20, client="Other"), worth(1, client="Other")]
    )
    first, other = found.by_currency["EUR"]
    assert (first.margin, first.label) == (None, "no margin: no known cost")
    assert other.label == "31 (61%)*"
    assert (found.uncosted, found.unpriced) == (3 * HOUR, HOUR)


def test_hours_that_only_cost_are_a_loss_without_a_share() -> None:
    assert Margin("Client", cost=Fraction(1500)).label == "-1,500"


def test_the_largest_amount_is_first() -> None:
    found = add_up([worth(1, 0, client="a"), worth(3, 0, client="b"), worth(None, 9, client="c")])
    assert [one.client for one in found.by_currency["EUR"]] == ["b", "a", "c"]
