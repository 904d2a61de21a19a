"""What a database must be able to do to keep the rate limits of tokens: a file of one host, or PostgreSQL for many."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from airflow_provider_toggl.core.client.limits.token_state import Permit, TokenState

T = TypeVar("T")
log = logging.getLogger(__name__)

HOUR = 3600
#: Hours for which the usage is kept, for charts.
KEPT_HOURS = 14 * 24


@dataclass(frozen=True)
class HourlyUsage:
    """Requests that were sent in one clock hour.

    :param hour: start of the hour, seconds since the epoch.
    :param total: requests that one quota window of the lane has; None while unknown.
    """

    lane: str
    hour: int
    requests: int
    total: int | None


class StateStore(ABC):
    """Keeps the :class:`TokenState` of each token, shared by all processes that use the store."""

    @abstractmethod
    def update(self, token: str, now: float, change: Callable[[TokenState, float], T]) -> T:
        """Lock the state of a token, change it, store it, and return what the change returned.

        A permit is also counted in the hourly usage. The state is unchanged after an error. The change may run a
        second time where the connection was lost.

        :param now: the caller's time in seconds since the epoch, for stores without a clock of their own.
        :param change: called with the state and the store's time.
        :raises RateLimitStateUnavailable: the store cannot be reached.
        """

    @abstractmethod
    def read(self, token: str, now: float) -> tuple[TokenState, float]:
        """Return the state of a token and the store's time."""

    @abstractmethod
    def list_usage(self, token: str, since: float) -> list[HourlyUsage]:
        """Return the requests of each hour that ends after ``since``, by lane and hour."""

    @abstractmethod
    def close_idle(self) -> None:
        """Close the connections that are not in use. The next call opens one."""


def list_writes(token: str, state: TokenState, result: object, at: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the statements that store a changed state, by name, with their values.

    :param result: what the change returned; a permit is counted.
    :param at: the store's time.
    """
    yield "save_state", {"token": token, "state": msgspec.json.encode(state).decode()}
    if isinstance(result, Permit):
        hour = int(at // HOUR)
        yield "count_usage", {"token": token, "lane": result.lane, "hour": hour, "total": result.total}
        yield "forget_usage", {"token": token, "lane": result.lane, "oldest": hour - KEPT_HOURS}


def decode_state(text: bytes | str | None) -> TokenState:
    """Return a state from JSON, a new one if it is not readable."""
    if not text:
        return TokenState()
    try:
        return msgspec.json.decode(text, type=TokenState)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        log.warning("The rate-limit state of a token is damaged and is replaced: %s", error)
        return TokenState()


def build_usage(rows: list[tuple[str, int, int, int | None]]) -> list[HourlyUsage]:
    """Return the hourly usage of rows with lane, number of the hour, requests and total."""
    return [HourlyUsage(lane, hour * HOUR, requests, total) for lane, hour, requests, total in rows]
