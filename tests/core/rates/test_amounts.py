from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.rates.amounts import Money, Rounding, price, total

EURO = "EUR"


def test_an_amount_is_hours_times_rate_and_exact() -> None:
    assert price(5400, Decimal("80.50"), EURO) == Money(Fraction("120.75"), EURO)
    assert price(1, Decimal(1), EURO) == Money(Fraction(1, 3600), EURO)


@pytest.mark.parametrize(("seconds", "rate"), [(None, Decimal(50)), (3600, None)])
def test_what_is_not_known_is_none_and_not_0(seconds: int | None, rate: Decimal | None) -> None:
    assert price(seconds, rate, EURO) is None
    assert total([price(seconds, rate, EURO)]) == {}


def test_currencies_are_never_added_to_each_other() -> None:
    amounts = [Money(Fraction(1), EURO), Money(Fraction(2), "USD"), Money(Fraction(3), EURO), Money(Fraction(4), None)]
    assert total(amounts) == {EURO: 4, "USD": 2, None: 4}


@pytest.mark.parametrize(
    ("direction", "minutes", "seconds", "rounded"),
    [
        (1, 15, 1, 900),
        (1, 15, 900, 900),
        (-1, 15, 1799, 900),
        (0, 15, 449, 0),
        (0, 15, 450, 900),
        (1, 0, 61, 61),
        (1, 15, 0, 0),
        (-1, 15, -60, -60),
    ],
)
def test_durations_are_rounded_as_reports_do_when_asked_for(
    direction: int, minutes: int, seconds: int, rounded: int
) -> None:
    asked = Rounding(direction, minutes)
    assert asked.round(seconds) == rounded
    assert price(seconds, Decimal(36), EURO, asked) == Money(Fraction(rounded, 100), EURO)
    assert price(seconds, Decimal(36), EURO) == Money(Fraction(seconds, 100), EURO)


@pytest.mark.parametrize(("amount", "cents"), [("0.005", 1), ("0.0049", 0), ("1.235", 124), ("-0.005", 0), ("2", 200)])
def test_half_a_cent_is_rounded_up(amount: str, cents: int) -> None:
    assert Money(Fraction(amount), EURO).in_cents() == cents


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.sampled_from((-1, 0, 1)), st.sampled_from((0, 5, 15, 60)))
def test_cents_are_within_half_a_cent_of_the_exact_amount(
    seconds: int, cents: int, direction: int, minutes: int
) -> None:
    rounding = Rounding(direction, minutes)
    money = price(seconds, Decimal(cents) / 100, EURO, rounding)
    assert money
    assert abs(money.in_cents() * 3600 - rounding.round(seconds) * cents) <= 1800
