"""What was asked of the sandbox's Toggl, counted and remembered; the control API's own requests are not."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

#: So many single requests are remembered; the counts go on.
REMEMBERED = 10_000

LANES = ("user", "organization", "none")


class RequestLog:
    """Counts by endpoint, lane and status, and the last requests one by one."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start again from nothing."""
        self._by_endpoint: Counter[str] = Counter()
        self._by_lane: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._calls: deque[dict[str, Any]] = deque(maxlen=REMEMBERED)

    def add(self, endpoint: str, call: dict[str, Any]) -> None:
        """Record one answered request.

        :param endpoint: ``METHOD /template``
        :param call: ``at``, ``method``, ``path``, ``query``, ``body``, ``lane``, ``status``, ``token_digest``
        """
        self._by_endpoint[endpoint] += 1
        self._by_lane[call["lane"]] += 1
        self._by_status[str(call["status"])] += 1
        self._calls.append(call)

    def as_dict(self) -> dict[str, Any]:
        """Return all counts and the last requests as JSON can hold them."""
        return {
            "total": sum(self._by_endpoint.values()),
            "by_endpoint": dict(sorted(self._by_endpoint.items())),
            "by_lane": {lane: self._by_lane[lane] for lane in LANES},
            "by_status": dict(sorted(self._by_status.items())),
            "calls": list(self._calls),
        }
