"""Toggl's two limits: the hourly quota (402) and the leaky bucket (429)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from airflow_provider_toggl.sandbox.settings import Settings

#: Most requests kept in a window; without enforcement it would grow for ever.
LONGEST_WINDOW = 100_000

#: Rounding tolerance of the bucket, in requests: clock readings one interval apart are not exact.
BUCKET_TOLERANCE = 1e-6


@dataclass(frozen=True)
class QuotaState:
    """The state of a quota; ``remaining`` may be negative if the quota is not enforced."""

    total: int
    remaining: int
    resets_in_seconds: int


class RateLimits:
    """The quota windows of all lanes and the leaky buckets of all tokens.

    :param settings: read at every request, so that changes take effect at once.
    :param clock: the sandbox's time in seconds, so that advancing its clock resets windows.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[Hashable, deque[float]] = {}
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def admit(self, key: Hashable) -> bool:
        """Add one request to the bucket of a token and address; False if the bucket is full (429)."""
        settings = self._settings
        if not settings.bucket_enforced or settings.bucket_rate <= 0:
            return True
        now = self._clock()
        level, at = self._buckets.get(key, (0.0, now))
        level = max(0.0, level - max(0.0, now - at) * settings.bucket_rate)
        if level + 1.0 > settings.bucket_capacity + BUCKET_TOLERANCE:
            self._buckets[key] = (level, now)
            return False
        self._buckets[key] = (level + 1.0, now)
        return True

    def seconds_until_admitted(self, key: Hashable) -> float:
        """Return the seconds until the bucket of a token and address has room for one request."""
        level, _ = self._buckets.get(key, (0.0, 0.0))
        return max(0.0, level + 1.0 - self._settings.bucket_capacity) / (self._settings.bucket_rate or 1.0)

    def charge(self, lane: str, key: Hashable) -> tuple[bool, QuotaState]:
        """Count one request against the quota of a lane.

        Returns whether it was admitted, and the state afterwards. A refused request does not count. If the quota is
        not enforced, every request is counted and admitted.
        """
        window = self._window(lane, key)
        total = self._settings.lane_quota(lane)
        if self._settings.quota_enforced and len(window) >= total:
            return False, self._state(lane, window)
        window.append(self._clock())
        return True, self._state(lane, window)

    def state(self, lane: str, key: Hashable) -> QuotaState:
        """Return the state of a quota."""
        return self._state(lane, self._window(lane, key))

    def reset(self) -> None:
        """Empty all windows and buckets."""
        self._windows.clear()
        self._buckets.clear()

    def _window(self, lane: str, key: Hashable) -> deque[float]:
        """Return the times of the requests that still count.

        A fixed window loses all requests when its first one is a window ago, a sliding one loses each by itself.
        """
        window = self._windows.setdefault((lane, key), deque(maxlen=LONGEST_WINDOW))
        expired = self._clock() - self._settings.quota_window_seconds
        if self._settings.quota_kind == "fixed":
            if window and window[0] <= expired:
                window.clear()
        else:
            while window and window[0] <= expired:
                window.popleft()
        return window

    def _state(self, lane: str, window: deque[float]) -> QuotaState:
        total = self._settings.lane_quota(lane)
        length = self._settings.quota_window_seconds
        if window:
            resets_in = window[0] + length - self._clock()
        else:
            resets_in = length if self._settings.unused_quota_resets_in == "window" else 0.0
        # Rounded up, so that a client that waits this long is not too early.
        return QuotaState(total, total - len(window), max(0, math.ceil(resets_in)))
