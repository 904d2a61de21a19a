"""What goes wrong on the way of events, on order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

#: What each kind can be told, with its defaults.
KINDS: dict[str, dict[str, Any]] = {
    # The same bytes again, so many times, after as many seconds.
    "duplicate": {"copies": 1, "seconds": 0.0},
    # The same event again with a new timestamp, and so another signature.
    "resend": {"copies": 1, "seconds": 0.0},
    # So many seconds late.
    "delay": {"seconds": 0.5},
    # Late by chance, up to so many seconds, so that what comes later overtakes it.
    "reorder": {"seconds": 0.5},
    # Never.
    "drop": {},
    # First with a signature of another secret; then, after its failure, rightly.
    "wrong_signature": {},
}
#: The greatest number in an order.
MOST = 1_000_000
_COMMON = {"kind", "times", "probability", "seed"}


class DeliveryFaultError(ValueError):
    """An order that cannot be understood."""


@dataclass
class DeliveryFault:
    """One order.

    ``left`` None: until it is cleared. ``probability`` None: every event.
    """

    kind: str
    options: dict[str, Any]
    left: int | None
    probability: float | None
    dice: random.Random = field(default_factory=random.Random, repr=False)
    hits: int = 0

    def strikes(self) -> bool:
        """Decide about one event, and count it when it is hit."""
        if self.left == 0 or (self.probability is not None and self.dice.random() >= self.probability):
            return False
        if self.left is not None:
            self.left -= 1
        self.hits += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return it as the control API tells it."""
        return {
            "kind": self.kind,
            **self.options,
            "left": self.left,
            "probability": self.probability,
            "hits": self.hits,
        }


def read_fault(told: dict[str, Any]) -> DeliveryFault:
    """Build an order out of what the control API was told.

    Without ``times`` and ``probability`` it strikes once; with a probability, until it is cleared.

    :raises MischiefError: an unknown kind or option, or a value that cannot be.
    """
    kind = told.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DeliveryFaultError(f"kind is one of {', '.join(KINDS)}, not {kind!r}.")
    unknown = sorted(set(told) - _COMMON - set(KINDS[kind]))
    if unknown:
        raise DeliveryFaultError(f"{kind} does not know {', '.join(unknown)}.")
    options = {name: _number(name, told.get(name, default), default) for name, default in KINDS[kind].items()}
    probability = told.get("probability")
    if probability is not None and _number("probability", probability, 0.0) > 1:
        raise DeliveryFaultError("probability is from 0 to 1.")
    times = told.get("times", 1 if probability is None else None)
    left = None if times is None else _number("times", times, 0)
    return DeliveryFault(kind, options, left, probability, random.Random(_number("seed", told.get("seed", 0), 0)))


def _number(name: str, value: Any, like: Any) -> Any:
    """Return a number that is not negative; a whole one where ``like`` is whole."""
    kinds = (int,) if isinstance(like, int) else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise DeliveryFaultError(f"{name} is a {'whole ' if kinds == (int,) else ''}number from 0 to {MOST:,}.")
    return value
