"""Turns UTC instants into local days: a zone's UTC offsets, as time spans without gaps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.instants import EARLIEST, LATEST
from airflow_provider_toggl.core.load.engines.contract import Session
from airflow_provider_toggl.core.load.tables.state import STATEMENTS

FIRST_YEAR, LAST_YEAR = 2000, 2040
"""Toggl began in 2006. Before 1 January of the first year, and from 1 January of the last one on, the zone's offset is
taken as fixed."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STEP = timedelta(days=7)


@dataclass(frozen=True)
class OffsetSpan:
    """A time during which a zone's offset stays the same.

    :param begin: its first instant, UTC.
    :param end: the instant after its last, UTC.
    :param offset_seconds: how far local time is ahead of UTC.
    """

    begin: datetime
    end: datetime
    offset_seconds: int


def store_offsets(session: Session, zone_name: str) -> None:
    """Store a zone's offsets from UTC in ``zone_offsets``, for the views of engines without time zones.

    :param zone_name: IANA name.
    """
    session.run(STATEMENTS["delete_offsets"])
    session.run_many(
        STATEMENTS["insert_offset"], [[span.begin, span.end, span.offset_seconds] for span in find_spans(zone_name)]
    )


@cache
def find_spans(zone_name: str) -> tuple[OffsetSpan, ...]:
    """Return the spans of a zone, which follow each other without gaps.

    :param zone_name: IANA name.
    :raises ConfigurationError: there is no such zone.
    """
    zone = get_zone(zone_name)
    begins = [EARLIEST]
    moment, last = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (FIRST_YEAR, LAST_YEAR))
    offsets = [_offset(zone, moment)]
    while moment < last:
        following = moment + _STEP
        # A weekly step would miss a zone that changes and changes back within it; none does.
        while _offset(zone, following) != offsets[-1]:
            begins.append(_find_change(zone, moment, following, offsets[-1]))
            offsets.append(_offset(zone, begins[-1]))
            moment = begins[-1]
        moment = following
    ends = [*begins[1:], LATEST]
    return tuple(OffsetSpan(*span) for span in zip(begins, ends, offsets, strict=True))


def get_zone(zone_name: str) -> ZoneInfo:
    """Return the zone of an IANA name.

    :raises ConfigurationError: there is no such zone.
    """
    try:
        return ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"There is no time zone {zone_name!r}. It must be an IANA name such as Europe/Berlin."
        ) from None


def local_days(workspaces: pa.ChunkedArray, instants: pa.ChunkedArray, zone_name: str) -> frozenset[tuple[int, date]]:
    """Return the distinct pairs of workspace and local day of some instants.

    :param instants: Arrow timestamps, microseconds, UTC; null, or outside ``EARLIEST`` to ``LATEST``, for those without
        a local day.
    :param zone_name: IANA name.
    """
    within = pc.and_(pc.greater_equal(instants, pa.scalar(EARLIEST)), pc.less(instants, pa.scalar(LATEST)))
    known = pc.fill_null(within, False)
    micros = instants.filter(known).cast(pa.int64()).to_numpy()
    if not len(micros):
        return frozenset()
    spans = find_spans(zone_name)
    begins = np.array([_micros(span.begin) for span in spans])
    offsets = np.array([span.offset_seconds * 1_000_000 for span in spans])
    local = micros + offsets[np.searchsorted(begins, micros, side="right") - 1]
    pairs = pa.table({"workspace": workspaces.filter(known), "day": local // 86_400_000_000})
    # `group_by` hashes; sorting here would take a tenth of a load's time.
    different = pairs.group_by(["workspace", "day"]).aggregate([])
    return frozenset(_pairs(zip(*different.to_pydict().values(), strict=True)))


def _pairs(rows: Iterable[tuple[int, int]]) -> Iterable[tuple[int, date]]:
    for workspace, day in rows:
        yield workspace, date.fromordinal(_EPOCH.date().toordinal() + day)


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset: Any = moment.astimezone(zone).utcoffset()
    return int(offset.total_seconds())


def _find_change(zone: ZoneInfo, before: datetime, after: datetime, offset: int) -> datetime:
    """Return the first whole second at which the offset is another than it was before."""
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + timedelta(seconds=middle)) == offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
