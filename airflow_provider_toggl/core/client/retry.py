"""Which failed requests may be sent again, and when: full jitter, bounded in tries and in time. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    :param tries: requests in all, the first one included.
    :param longest: seconds after the first request beyond which no further one is sent.
    :param base: the first pause is up to this many seconds; it doubles with each try.
    :param cap: no pause is longer than this.
    """

    tries: int = 5
    longest: float = 180.0
    base: float = 1.0
    cap: float = 60.0

    def pause(self, failed: int, asked_for: float | None, jitter: random.Random) -> float:
        """Return how long to wait after so many failed tries.

        :param asked_for: what ``Retry-After`` says; it is a floor.
        """
        drawn = jitter.uniform(0.0, min(self.cap, self.base * 2**failed))
        return drawn if asked_for is None else asked_for + jitter.uniform(0.0, self.base)

    def allows(self, failed: int, elapsed: float, pause: float) -> bool:
        """Whether one more try fits into both bounds."""
        return failed < self.tries and elapsed + pause <= self.longest


def is_read(method: str, path: str) -> bool:
    """Whether a request only reads: GET, and the POSTs of the Reports API, whose body is a query."""
    return method in ("GET", "HEAD") or (method == "POST" and path.startswith("/reports/api/v3/"))


def may_repeat(method: str, path: str, idempotent: bool | None) -> bool:
    """Whether a request may be sent again when nobody knows whether the first one took effect.

    :param idempotent: the caller's word for it; None takes the method's: reads may, writes may not.
    """
    return is_read(method, path) if idempotent is None else idempotent
