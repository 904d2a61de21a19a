"""Limits of a benchmark: compared with what was measured, printed with it, and turned into an exit status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """One measured number and its bound.

    :param name: what was measured, with its unit.
    :param at_least: lowest value that is good, None where only a highest one is set.
    :param at_most: highest value that is good.
    """

    name: str
    measured: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the measured number is within the bound."""
        return (self.at_least is None or self.measured >= self.at_least) and (
            self.at_most is None or self.measured <= self.at_most
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON, without a bound that is not set."""
        return {**{name: value for name, value in vars(self).items() if value is not None}, "ok": self.ok}


def report(result: dict[str, Any], limits: Sequence[Limit]) -> int:
    """Print a result as JSON with its limits and ``ok``, and return the exit status: 1 when a limit is missed."""
    ok = all(limit.ok for limit in limits)
    print(json.dumps({**result, "limits": [limit.as_dict() for limit in limits], "ok": ok}, indent=2))
    return 0 if ok else 1
