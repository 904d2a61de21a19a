"""The rate that held at an instant, and where it comes from. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from airflow_provider_toggl.core.rates.levels import PRECEDENCE, Kind, Level, Subject


@dataclass(frozen=True)
class RatePeriod:
    """A rate of Toggl's history, and the time it holds for.

    :param id: Toggl's id of the rate.
    :param subject: what it is set for.
    :param amount: units of the currency for an hour; None where the token may not see it.
    :param start: the first instant it holds at (aware); None means always before ``end``.
    :param end: the first instant after it (aware); None means that it goes on.
    :param created_at: when it was set (aware).
    :param is_deleted: whether Toggl says that it was deleted: then it never held.
    """

    id: int
    kind: Kind
    level: Level
    subject: Subject
    amount: Decimal | None
    start: datetime | None = None
    end: datetime | None = None
    created_at: datetime | None = None
    is_deleted: bool = False

    def holds_at(self, moment: datetime) -> bool:
        """Return whether it holds at an instant (aware), from its start to before its end."""
        if self.is_deleted:
            return False
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


class RateBook:
    """The histories of a workspace's rates, to look up what held when.

    :param periods: of any kind, level and order; overlapping, future and deleted ones included.
    """

    def __init__(self, periods: Iterable[RatePeriod]) -> None:
        self._histories: dict[tuple[Kind, Level, Subject], list[RatePeriod]] = {}
        for period in periods:
            self._histories.setdefault((period.kind, period.level, period.subject), []).append(period)
        for history in self._histories.values():
            history.sort(key=_age, reverse=True)

    def find(self, kind: Kind, subject: Subject, moment: datetime) -> RatePeriod | None:
        """Return the rate that held at an instant; None where there was none at any level.

        The narrowest level decides (:data:`PRECEDENCE`). Of several rates of one object that hold at once, the one that
        starts last does: in Toggl, a rate stays in effect until a more recent one is set
        (https://support.toggl.com/en/articles/6338050). Among equal starts, it is the one that was set last.

        :param moment: the time entry's start (aware): an entry over midnight keeps the rate of its first day (ibid.).
        """
        for level in PRECEDENCE[kind]:
            wanted = subject.at_level(level)
            if wanted is None:
                continue
            for period in self._histories.get((kind, level, wanted), ()):
                if period.holds_at(moment):
                    return period
        return None


def _age(period: RatePeriod) -> tuple[bool, float, bool, float, int]:
    """Return the order of rates that hold at once; the greatest decides."""
    start, created = period.start, period.created_at
    return (
        start is not None,
        0.0 if start is None else start.timestamp(),
        created is not None,
        0.0 if created is None else created.timestamp(),
        period.id,
    )
