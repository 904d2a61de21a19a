"""Which failed requests are sent again, and when: exponential backoff with full jitter. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long to try.

    :param tries: number of requests, including the first one.
    :param longest: seconds after the first request, after which no other one is sent.
    :param base: upper limit of the first pause in seconds. It doubles with each try.
    :param cap: upper limit of every pause in seconds.
    """

    tries: int = 5
    longest: float = 180.0
    base: float = 1.0
    cap: float = 60.0

    def pause(self, failed: int, asked_for: float | None, jitter: random.Random) -> float:
        """Return the seconds to wait after so many failed tries.

        :param asked_for: seconds that ``Retry-After`` asks for, None if it is missing. The pause is never shorter.
        """
        drawn = jitter.uniform(0.0, min(self.cap, self.base * 2**failed))
        return drawn if asked_for is None else asked_for + jitter.uniform(0.0, self.base)

    def allows(self, failed: int, elapsed: float) -> bool:
        """Return whether one more try, so many seconds after the first one, is within both limits."""
        return failed < self.tries and elapsed <= self.longest


def may_repeat(method: str, path: str, idempotent: bool | None) -> bool:
    """Return whether a request may be sent again when its outcome is unknown.

    :param idempotent: what the caller declares; with None, reads may be repeated and writes may not. Reads are GET, and
        POST to the Reports API, whose body is a query.
    """
    if idempotent is not None:
        return idempotent
    return method in ("GET", "HEAD") or (method == "POST" and path.startswith("/reports/api/v3/"))
