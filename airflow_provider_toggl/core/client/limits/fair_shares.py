"""Fair shares of a quota window: which of several tasks may send the next request. No I/O.

The rule is max-min fair. A claimant may take a request only if the rest still brings every other claimant to as many
requests as it has had itself. So the claimant with the fewest requests is never held back, the whole window can be
used, and claimants that want requests until its end differ by at most one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: A claimant that has not asked for this many seconds has died or wants nothing more.
ACTIVE_SECONDS = 60.0
#: A claimant that waits for the reset keeps its share for this many seconds after it, while its task starts again.
RETURN_SECONDS = 60.0


@dataclass(frozen=True)
class Claimant:
    """A task that asks for a share.

    :param name: the same over all deferrals and retries of one task, and different for every other task.
    :param wanted: how many more requests it will send, including this one; None while that is unknown.
    """

    name: str
    wanted: int | None = None


@dataclass(frozen=True)
class Rival:
    """Another active claimant of the same lane.

    :param taken: requests that it has had in this window.
    :param wanted: how many more it wants; None for as many as it can get.
    """

    taken: int
    wanted: int | None = None


def kept_for_others(taken: int, rivals: Iterable[Rival]) -> int:
    """Return how many requests must stay for others when a claimant that has had ``taken`` takes one more."""
    needs = ((max(0, taken - rival.taken), rival.wanted) for rival in rivals)
    return sum(need if wanted is None else min(need, wanted) for need, wanted in needs)


def may_take(taken: int, rivals: Iterable[Rival], spare: int) -> bool:
    """Return whether a claimant that has had ``taken`` in this window may take one of the spare requests."""
    return spare > kept_for_others(taken, rivals)


def share_returns_at(spare: int, interval: float, resets_at: float | None, now: float) -> float:
    """Return when a claimant that was held back may find requests again, in seconds since the epoch.

    By then the others can have used what is kept for them, or the window has ended.

    :param interval: seconds between two requests.
    """
    used_up_at = now + spare * interval
    return used_up_at if resets_at is None else min(used_up_at, resets_at)


def claim_ends_at(resets_at: float | None, now: float) -> float:
    """Return until when a claim that was just made is active, in seconds since the epoch.

    :param resets_at: the reset that the claimant has to wait for; None if it goes on at once.
    """
    return max(now + ACTIVE_SECONDS, (now if resets_at is None else resets_at) + RETURN_SECONDS)
