"""The log of requests to Toggl's APIs; requests to the control API are not in it."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

#: Single requests kept; counts include all.
MOST_KEPT = 10_000

LANES = ("user", "organization", "none")


class RequestLog:
    """Counts by endpoint, lane and status, and the last requests."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Empty the log."""
        self._by_endpoint: Counter[str] = Counter()
        self._by_lane: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._calls: deque[dict[str, Any]] = deque(maxlen=MOST_KEPT)

    def add(self, endpoint: str, call: dict[str, Any]) -> None:
        """Record one answered request.

        :param endpoint: ``METHOD /template``.
        :param call: ``at``, ``method``, ``path``, ``query``, ``body``, ``lane``, ``status``, ``token_digest``
        """
        self._by_endpoint[endpoint] += 1
        self._by_lane[call["lane"]] += 1
        self._by_status[str(call["status"])] += 1
        self._calls.append(call)

    def as_dict(self) -> dict[str, Any]:
        """Return all counts and the last requests as the control API shows them."""
        return {
            "total": sum(self._by_endpoint.values()),
            "by_endpoint": dict(sorted(self._by_endpoint.items())),
            "by_lane": {lane: self._by_lane[lane] for lane in LANES},
            "by_status": dict(sorted(self._by_status.items())),
            "calls": list(self._calls),
        }
