"""What Toggl says of many entries at once: the summary with the ids of its groups, and the totals by day. Pure.

https://engineering.toggl.com/docs/reports/summary_reports: one answer for a whole range, without pages. Where ids stand
in it, or whether they come at all, no document says for sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.windows import Window

Int64s = npt.NDArray[np.int64]
T = TypeVar("T")

#: In place of an id where there is none: no id of Toggl's is 0.
NO_PROJECT = 0
#: In place of the project of an id that is only told to be of a user.
UNKNOWN_PROJECT = -1


class _Part(msgspec.Struct, gc=False):
    id: int | None = None
    ids: list[int] | None = None
    seconds: int | float | None = None


class _Group(msgspec.Struct, gc=False):
    id: int | None = None
    ids: list[int] | None = None
    # The definition says "object" where recordings show a list.
    sub_groups: list[_Part] | dict[str, _Part] | None = None

    @property
    def parts(self) -> Iterable[_Part]:
        found = self.sub_groups or []
        return found.values() if isinstance(found, dict) else found


class _Summary(msgspec.Struct, gc=False):
    groups: list[_Group] | None


class _Point(msgspec.Struct, gc=False):
    seconds: int | float | None = None


class _Totals(msgspec.Struct, gc=False):
    resolution: str | None = None
    graph: list[_Point] | None = None


_SUMMARY = msgspec.json.Decoder(_Summary)
_TOTALS = msgspec.json.Decoder(_Totals)


@dataclass(frozen=True)
class WindowTotals:
    """A window as the summary tells it.

    :param seconds: of each (user, project); ``NONE`` stands for no project. A group that holds only entries of no
        seconds is there too.
    :param ids: all entries, None where no ids are given. Each has its user in ``users`` and its project in
        ``projects``, ``UNKNOWN`` where ids are only given by user.
    """

    seconds: Mapping[tuple[int, int], int]
    ids: Int64s | None
    users: Int64s
    projects: Int64s


def build_summary_query(window: Window) -> dict[str, Any]:
    """Return the body that asks for a window's sums and ids by user and project."""
    return {
        **_range(window),
        "grouping": "users",
        "sub_grouping": "projects",
        "include_time_entry_ids": True,
    }


def build_daily_query(window: Window, user_ids: Sequence[int]) -> dict[str, Any]:
    """Return the body that asks for the seconds of each day of a window."""
    # Both words: granularity overrides resolution, and only the older one is known everywhere.
    return {
        **_range(window),
        "with_graph": True,
        "granularity": "day",
        "resolution": "day",
        "user_ids": list(user_ids),
    }


def _range(window: Window) -> dict[str, Any]:
    # Left out, Toggl rounds durations by the preferences of whoever owns the token.
    days = {"start_date": window.first.isoformat(), "end_date": window.last.isoformat()}
    return {**days, "rounding": 0, "rounding_minutes": 0}


def read_summary(body: bytes, asked: str) -> WindowTotals:
    """Read a summary by users and projects.

    :param asked: what was asked, for the error.
    :raises MalformedAnswer: it is none, or a group has no seconds: nothing may be concluded from what may be cut.
    """
    groups = _decode(body, _SUMMARY, asked).groups or []
    seconds: dict[tuple[int, int], int] = {}
    found = _Ids()
    for group in groups:
        user = group.id or NO_PROJECT
        parts = list(group.parts)
        for part in parts:
            if part.seconds is None:
                raise MalformedAnswer(f"{asked}: a group of user {user} has no seconds. Nothing is concluded from it.")
            key = (user, part.id or NO_PROJECT)
            seconds[key] = seconds.get(key, 0) + int(part.seconds)
        if parts and all(part.ids is not None for part in parts):
            for part in parts:
                found.add(user, part.id or NO_PROJECT, part.ids or [])
        elif group.ids is not None and parts:
            found.add(user, UNKNOWN_PROJECT, group.ids)
        elif parts:
            found.lacking = True
    return found.build(seconds)


class _Ids:
    """Collects ids with their groups; none are known once one group lacks them."""

    def __init__(self) -> None:
        self._ids: list[Int64s] = []
        self._users: list[Int64s] = []
        self._projects: list[Int64s] = []
        self.lacking = False

    def add(self, user: int, project: int, ids: list[int]) -> None:
        self._ids.append(np.array(ids, np.int64))
        self._users.append(np.full(len(ids), user, np.int64))
        self._projects.append(np.full(len(ids), project, np.int64))

    def build(self, seconds: Mapping[tuple[int, int], int]) -> WindowTotals:
        if self.lacking:
            return WindowTotals(seconds, None, _joined([]), _joined([]))
        ids, places = np.unique(_joined(self._ids), return_index=True)
        return WindowTotals(seconds, ids, _joined(self._users)[places], _joined(self._projects)[places])


def read_daily_seconds(body: bytes, window: Window, asked: str) -> Int64s | None:
    """Return the seconds of each day of a window, None where the answer has not one number for each.

    :raises MalformedAnswer: it is none.
    """
    totals = _decode(body, _TOTALS, asked)
    graph = totals.graph or []
    if totals.resolution not in (None, "day") or len(graph) != window.days:
        return None
    return np.array([int(point.seconds or 0) for point in graph], np.int64)


def _decode(body: bytes, decoder: msgspec.json.Decoder[T], asked: str) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise MalformedAnswer(f"{asked}: the answer ({len(body)} bytes) is no report ({error}).") from None


def _joined(parts: list[Int64s]) -> Int64s:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
