"""Faults that a test injects into the delivery of events."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

#: The options of each kind, with their defaults.
KINDS: dict[str, dict[str, Any]] = {
    # Sends the same bytes again, so many times, each so many seconds later.
    "duplicate": {"copies": 1, "seconds": 0.0},
    # Sends the same event again with a new timestamp, and so with another signature.
    "resend": {"copies": 1, "seconds": 0.0},
    # Sends it so many seconds late.
    "delay": {"seconds": 0.5},
    # Sends it late by a random time of up to so many seconds, so that later events overtake it.
    "reorder": {"seconds": 0.5},
    # Never sends it.
    "drop": {},
    # Signs the first attempt with another secret, and later ones correctly.
    "wrong_signature": {},
}
#: The greatest number of an option.
MOST = 1_000_000
_COMMON = {"kind", "times", "probability", "seed"}


class DeliveryFaultError(ValueError):
    """A malformed request to inject a fault."""


@dataclass
class DeliveryFault:
    """One injected fault.

    :param left: how many events it still affects; None: until it is cleared.
    :param probability: of affecting an event; None: always.
    """

    kind: str
    options: dict[str, Any]
    left: int | None
    probability: float | None
    dice: random.Random = field(default_factory=random.Random, repr=False)
    hits: int = 0

    def strikes(self) -> bool:
        """Decide whether it affects the next event, and count it."""
        if self.left == 0 or (self.probability is not None and self.dice.random() >= self.probability):
            return False
        if self.left is not None:
            self.left -= 1
        self.hits += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as the control API shows it."""
        return {
            "kind": self.kind,
            **self.options,
            "left": self.left,
            "probability": self.probability,
            "hits": self.hits,
        }


def read_fault(body: dict[str, Any]) -> DeliveryFault:
    """Build a fault from a request of the control API.

    Without ``times`` and ``probability`` it affects one event; with a probability alone, it stays until it is cleared.

    :raises DeliveryFaultError: an unknown kind or option, or a value out of range.
    """
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise DeliveryFaultError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    unknown = sorted(set(body) - _COMMON - set(KINDS[kind]))
    if unknown:
        raise DeliveryFaultError(f"{kind} has no option {', '.join(unknown)}.")
    options = {name: _number(name, body.get(name, default), default) for name, default in KINDS[kind].items()}
    probability = body.get("probability")
    if probability is not None and _number("probability", probability, 0.0) > 1:
        raise DeliveryFaultError("probability must be from 0 to 1.")
    times = body.get("times", 1 if probability is None else None)
    left = None if times is None else _number("times", times, 0)
    return DeliveryFault(kind, options, left, probability, random.Random(_number("seed", body.get("seed", 0), 0)))


def _number(name: str, value: Any, like: Any) -> Any:
    """Check a number that must not be negative; it must be an integer if ``like`` is one."""
    kinds = (int,) if isinstance(like, int) else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise DeliveryFaultError(
            f"{name} must be {'an integer' if kinds == (int,) else 'a number'} from 0 to {MOST:,}."
        )
    return value
