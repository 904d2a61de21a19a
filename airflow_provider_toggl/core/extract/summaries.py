"""Reports about many entries at once: the summary, with the ids of its entries, and the totals by day. Pure.

Each is one answer for a whole range, without pages (https://engineering.toggl.com/docs/reports/summary_reports).
Whether a summary has ids, and where, is not documented for sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.windows import Window

Int64s = npt.NDArray[np.int64]
T = TypeVar("T")

SUMMARY_PATH = "/reports/api/v3/workspace/{workspace_id}/summary/time_entries"
DAILY_PATH = "/reports/api/v3/workspace/{workspace_id}/search/time_entries/totals"

#: The project of entries without one. Toggl has no id 0.
NO_PROJECT = 0
#: The project of entries whose ids the summary gives by user only.
UNKNOWN_PROJECT = -1


class _Part(msgspec.Struct, gc=False):
    id: int | None = None
    ids: list[int] | None = None
    seconds: int | float | None = None


class _Group(msgspec.Struct, gc=False):
    id: int | None = None
    ids: list[int] | None = None
    # Toggl's definition says "object"; recorded answers have a list.
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
    """The summary of a window.

    :param seconds: the total of each (user, project), with ``NO_PROJECT`` for entries without one. A group whose
        entries have no seconds is included.
    :param ids: the ids of all entries, in order; None where the summary lacks ids.
    :param users: the user of each id.
    :param projects: the project of each id; ``UNKNOWN_PROJECT`` where ids are given by user only.
    """

    seconds: Mapping[tuple[int, int], int]
    ids: Int64s | None
    users: Int64s
    projects: Int64s


def build_summary_query(window: Window) -> dict[str, Any]:
    """Return the body of a request for a window's totals and ids by user and project."""
    return {
        **_range(window),
        "grouping": "users",
        "sub_grouping": "projects",
        "include_time_entry_ids": True,
    }


def build_daily_query(window: Window, user_ids: Sequence[int]) -> dict[str, Any]:
    """Return the body of a request for the seconds of each day of a window."""
    # Both names: ``granularity`` overrides ``resolution``, which is older and accepted everywhere.
    return {
        **_range(window),
        "with_graph": True,
        "granularity": "day",
        "resolution": "day",
        "user_ids": list(user_ids),
    }


def _range(window: Window) -> dict[str, Any]:
    # Without these, Toggl rounds durations by the preferences of the token's owner.
    days = {"start_date": window.first.isoformat(), "end_date": window.last.isoformat()}
    return {**days, "rounding": 0, "rounding_minutes": 0}


def read_summary(body: bytes, asked: str) -> WindowTotals:
    """Return the totals of a summary by users and projects.

    :param asked: the request, as the error names it.
    :raises MalformedAnswer: it is no summary, or a group has no seconds, so the answer may be cut.
    """
    groups = _decode(body, _SUMMARY, asked).groups or []
    seconds: dict[tuple[int, int], int] = {}
    found: list[tuple[int, int, list[int]]] = []
    lacks_ids = False
    for group in groups:
        user = group.id or NO_PROJECT
        parts = list(group.parts)
        for part in parts:
            if part.seconds is None:
                raise MalformedAnswer(f"{asked}: a group of user {user} has no seconds, so the answer is not used.")
            key = (user, part.id or NO_PROJECT)
            seconds[key] = seconds.get(key, 0) + int(part.seconds)
        if all(part.ids is not None for part in parts):
            found += [(user, part.id or NO_PROJECT, part.ids or []) for part in parts]
        elif group.ids is not None:
            found.append((user, UNKNOWN_PROJECT, group.ids))
        else:
            lacks_ids = True
    # If one group lacks ids, the summary counts as one without ids.
    owners = [] if lacks_ids else found
    lengths = [len(ids) for *_, ids in owners]
    ids, places = np.unique(np.fromiter(chain.from_iterable(ids for *_, ids in owners), np.int64), return_index=True)
    users, projects = (
        np.repeat(np.array([owner[place] for owner in owners], np.int64), lengths)[places] for place in (0, 1)
    )
    return WindowTotals(seconds, None if lacks_ids else ids, users, projects)


def read_daily_seconds(body: bytes, window: Window, asked: str) -> Int64s | None:
    """Return the seconds of each day of a window; None where the answer does not have one number for each day.

    :raises MalformedAnswer: it is no such report.
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
        raise MalformedAnswer(
            f"{asked}: the answer ({len(body)} bytes) is not the documented report ({error}). Nothing was changed."
        ) from None
