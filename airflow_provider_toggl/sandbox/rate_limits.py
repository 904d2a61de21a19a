"""Who may pass: the hourly quota's windows and the leaky bucket, as plain values with a clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from airflow_provider_toggl.sandbox.settings import Settings

#: Without enforcement a window may grow for ever; beyond this many the oldest requests are forgotten.
LONGEST_WINDOW = 100_000

#: Two clocks' readings that should be a whole interval apart may differ by this much, in requests.
BUCKET_TOLERANCE = 1e-6


@dataclass(frozen=True)
class QuotaState:
    """What is left of a quota window; ``remaining`` may be negative where the quota is not enforced."""

    total: int
    remaining: int
    resets_in_seconds: int


class RateLimits:
    """The quota windows of all lanes and the leaky buckets of all tokens.

    :param settings: read at every request, so that a change counts at once
    :param clock: seconds of any epoch, the sandbox's own time, so that moving the clock opens windows
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[Hashable, deque[float]] = {}
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def admit(self, key: Hashable) -> bool:
        """Pour one request into the bucket of that token and address; False when it would overflow (429)."""
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
        """Return how long the bucket of that token and address takes to have room for one more request."""
        level, _ = self._buckets.get(key, (0.0, 0.0))
        return max(0.0, level + 1.0 - self._settings.bucket_capacity) / (self._settings.bucket_rate or 1.0)

    def charge(self, lane: str, key: Hashable) -> tuple[bool, QuotaState]:
        """Take one request out of the quota of that lane.

        Answers whether it was admitted, and the state after it. A refused request takes nothing and
        does not make the window longer. Where the quota is not enforced everything is counted and nothing refused.
        """
        window = self._window(lane, key)
        total = self._settings.lane_quota(lane)
        if self._settings.quota_enforced and len(window) >= total:
            return False, self._state(lane, window)
        window.append(self._clock())
        return True, self._state(lane, window)

    def state(self, lane: str, key: Hashable) -> QuotaState:
        """Return what is left of the quota of that lane, taking nothing."""
        return self._state(lane, self._window(lane, key))

    def forget(self) -> None:
        """Empty all windows and buckets."""
        self._windows.clear()
        self._buckets.clear()

    def _window(self, lane: str, key: Hashable) -> deque[float]:
        """Return the times of the requests that still count.

        Both kinds of window are one list of times: a fixed one is dropped whole when its first request is
        a window ago, a sliding one loses each request when that one is a window ago.
        """
        window = self._windows.setdefault((lane, key), deque(maxlen=LONGEST_WINDOW))
        gone = self._clock() - self._settings.quota_window_seconds
        if self._settings.quota_kind == "fixed":
            if window and window[0] <= gone:
                window.clear()
        else:
            while window and window[0] <= gone:
                window.popleft()
        return window

    def _state(self, lane: str, window: deque[float]) -> QuotaState:
        total = self._settings.lane_quota(lane)
        length = self._settings.quota_window_seconds
        if window:
            resets_in = window[0] + length - self._clock()
        else:
            resets_in = length if self._settings.unused_quota_resets_in == "window" else 0.0
        # Rounded up, so that a client which waits as long as it was told is never too early.
        return QuotaState(total, total - len(window), max(0, math.ceil(resets_in)))
