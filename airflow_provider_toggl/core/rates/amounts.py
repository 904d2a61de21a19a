"""What hours are worth at a rate, with a currency, and rounded only when asked for. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

HOUR = 3600


@dataclass(frozen=True)
class Rounding:
    """How Toggl's reports round the duration of each entry, as set in the workspace.

    :param direction: -1 down, 0 to the nearest, 1 up: the workspace's ``rounding``.
    :param minutes: to multiples of so many; 0 rounds nothing.
    """

    direction: int
    minutes: int

    def round(self, seconds: int) -> int:
        """Return a duration rounded; 0 and negative ones stay as they are. Half a step is rounded up."""
        step = self.minutes * 60
        if step <= 0 or seconds <= 0:
            return seconds
        if self.direction < 0:
            return seconds // step * step
        if self.direction > 0:
            return -(-seconds // step) * step
        return (2 * seconds + step) // (2 * step) * step


@dataclass(frozen=True)
class Money:
    """An amount of one currency.

    :param amount: units of the currency, exact.
    :param currency: ISO 4217 code; None where it is not known, which is a currency of its own here.
    """

    amount: Fraction
    currency: str | None

    def in_cents(self) -> int:
        """Return the amount in hundredths; half of one is rounded up."""
        return math.floor(self.amount * 100 + Fraction(1, 2))


def price(
    seconds: int | None, rate: Decimal | None, currency: str | None, rounding: Rounding | None = None
) -> Money | None:
    """Return hours times rate, exactly.

    :param seconds: the entry's duration; None while it runs.
    :param rate: units of the currency for an hour; None where there is none or it is hidden.
    :param rounding: round the duration first, as reports of Toggl do where the workspace says so.
    :return: None where duration or rate is not known; that is not 0.
    """
    if seconds is None or rate is None:
        return None
    rounded = seconds if rounding is None else rounding.round(seconds)
    return Money(Fraction(rate) * rounded / HOUR, currency)


def total(amounts: Iterable[Money | None]) -> dict[str | None, Fraction]:
    """Return the sum of each currency. Currencies are never added to each other; what is not known is left out."""
    sums: dict[str | None, Fraction] = {}
    for money in amounts:
        if money is not None:
            sums[money.currency] = sums.get(money.currency, Fraction(0)) + money.amount
    return sums
