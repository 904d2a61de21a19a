"""What the arguments of operators, sensors, triggers and hooks take and refuse, by their annotations."""

# ruff: noqa: DTZ001, DTZ901, RUF001 - odd values are the point of it

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pendulum

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.filters import EventFilter

UTC = timezone.utc
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 10)
NOTHING = (None, "", " ", "None", float("nan"), pd.NaT, pd.NA)


@dataclass(frozen=True)
class Kind:
    """What a parameter with some annotation takes.

    :param accepted: the argument, and the value it is parsed to.
    :param refused: what raises ``ConfigurationError``.
    """

    accepted: tuple[tuple[Any, Any], ...]
    refused: tuple[Any, ...] = ()


def all_are(result: Any, *values: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((value, result) for value in values)


SEVENS = (7, "7", " 7 ", 7.0, "7.0", Decimal(7), np.int64(7), np.float64(7), np.int32(7))
NO_WHOLE = (
    True, np.True_, 7.5, "7.5", "seven", "٧", "1_000", "7;", [7, "x"], {"a": 7}, 2**63, 1e30, float("inf"), b"7",
    NOON,
)  # fmt: skip
IDS = Kind((*all_are(7, *SEVENS), *all_are(None, *NOTHING)), (*NO_WHOLE, 0, -7, "0"))
DAYS = Kind(
    (
        *all_are(DAY, DAY, "2026-03-10", " 2026-03-10 ", pendulum.date(2026, 3, 10), "20260310", 20260310),
        *all_are(DAY, np.datetime64("2026-03-10")),
        *all_are(
            NOON, NOON, pendulum.datetime(2026, 3, 10, 12, tz="UTC"),
            pendulum.datetime(2026, 3, 10, 13, tz="Europe/Berlin"), pd.Timestamp("2026-03-10T12:00", tz="UTC"),
            "2026-03-10T12:00:00Z", "2026-03-10T13:00:00+01:00", "2026-03-10 12:00:00+00:00",
            "2026-03-10T12:00:00.000000+00:00", "20260310T120000+0000", NOON.isoformat(),
            str(pendulum.datetime(2026, 3, 10, 12, tz="UTC")),
        ),
        *all_are(None, *NOTHING),
    ),
    (
        "90 days ago", "yesterday", "2026-02-30", "10/03/2026", datetime(2026, 3, 10), "2026-03-10T12:00:00", True, 7,
        7.5, timedelta(days=1), [DAY], {"a": 1}, b"2026-03-10", np.datetime64("2026-03-10T12:00:00"),
        pd.Timestamp("2026-03-10"),
    ),
)  # fmt: skip
MOMENTS = Kind(
    (*(pair for pair in DAYS.accepted if pair[1] == NOON), *all_are(None, *NOTHING)),
    (
        "noon", "2026-03-10", DAY, pendulum.date(2026, 3, 10), datetime(2026, 3, 10), "2026-03-10T12:00:00", True, 7,
        [NOON], b"x",
    ),
)  # fmt: skip
LENGTHS = (
    60, "60", 60.0, " 60.0 ", timedelta(minutes=1), pendulum.duration(minutes=1), "0:01:00",
    str(timedelta(minutes=1)), np.int64(60), np.timedelta64(60, "s"), pd.Timedelta(minutes=1), Decimal(60),
)  # fmt: skip
NO_LENGTH = (True, "long", "1h", float("inf"), [60], {"seconds": 60}, NOON, b"60", -1, "-1", timedelta(seconds=-1))
FLAGS = Kind(
    (
        *all_are(True, True, 1, "true", "True", " TRUE ", "yes", "1", np.True_, np.int64(1), 1.0),
        *all_are(False, False, 0, "false", "False", "no", "0", np.False_, 0.0),
    ),
    ("perhaps", 2, -1, [True], {"a": True}, NOON, b"true", "{}"),
)
MAYBE_FLAGS = Kind((*FLAGS.accepted, *all_are(None, *NOTHING)), FLAGS.refused)
TEXTS = Kind(
    (("abc", "abc"), (" abc ", "abc"), (7, "7"), (np.int64(7), "7"), (np.str_("abc"), "abc")),
    (["abc"], {"a": 1}, b"abc", object()),
)
MAYBE_TEXTS = Kind((*TEXTS.accepted, *all_are(None, None, "None", float("nan"), pd.NA)), TEXTS.refused)
SEVERAL_IDS = Kind(
    (
        *all_are(
            [7], *SEVENS, [7], (7,), {7}, ["7"], "[7]", "('7',)", np.array([7]), pd.Series([7]), [np.int64(7)],
            range(7, 8),
        ),
        *all_are([7, 8], "7,8", "7, 8", [7, "8"], (7, 8.0), "[7, 8]", "['7', '8']", np.array([7, 8])),
        *all_are(None, None, []),
    ),
    (True, 7.5, "x", "7,x", [7, None], [[7]], {"a": 7}, ["7", ""], b"7", NOON),
)  # fmt: skip
SEVERAL_WORDS = Kind(
    (
        *all_are(["project"], "project", " project ", ["project"], ("project",), "['project']", np.array(["project"])),
        *all_are(["project", "client"], "project,client", ["project", "client"], '["project", "client"]'),
        *all_are(None, None, []),
    ),
    (7, True, [7], [None], {"a": 1}, b"project", NOON),
)
OBJECTS = Kind(
    (
        *all_are({"billable": True}, {"billable": True}, '{"billable": true}', "{'billable': True}"),
        *all_are(None, None, "", "None"),
    ),
    (7, True, "billable", [1], b"x", NOON, "{"),
)
KINDS: dict[str, Kind] = {
    "bool": FLAGS,
    "bool | None": MAYBE_FLAGS,
    "bool | str": MAYBE_FLAGS,
    "bool | str | None": MAYBE_FLAGS,
    "int": Kind(all_are(7, *SEVENS), (*NO_WHOLE, -7, *NOTHING)),
    "int | None": Kind((*all_are(7, *SEVENS), *all_are(None, *NOTHING)), (*NO_WHOLE, -7)),
    "int | str": Kind(all_are(7, *SEVENS), (*NO_WHOLE, -7, *NOTHING)),
    "int | str | None": IDS,
    "float": Kind(
        all_are(1, 1, 1.0, "1", " 1.0 ", np.float64(1), Decimal(1)), (True, "x", "inf", [1], b"1", NOON, *NOTHING)
    ),
    "float | None": Kind((*all_are(60, *LENGTHS), *all_are(None, *NOTHING)), NO_LENGTH),
    "timedelta | float": Kind(all_are(60, *LENGTHS), (*NO_LENGTH, *NOTHING)),
    "timedelta | int | str | None": Kind(all_are(60, *LENGTHS), NO_LENGTH),
    "str": TEXTS,
    "str | None": MAYBE_TEXTS,
    "str | date | datetime | None": DAYS,
    "datetime | str": Kind(tuple(pair for pair in MOMENTS.accepted if pair[1]), (*MOMENTS.refused, *NOTHING)),
    "datetime | str | None": MOMENTS,
    "str | datetime | timedelta | None": Kind(
        (
            *MOMENTS.accepted,
            *all_are(timedelta(minutes=1), *LENGTHS),
            ("data_interval", "data_interval"),
        ),
        ("yesterday", DAY, datetime(2026, 3, 10), "2026-03-10", True, -1, [NOON]),
    ),
    "Ids": SEVERAL_IDS,
    "Words": SEVERAL_WORDS,
    "Mapping[str, Any] | None": OBJECTS,
    "Mapping[str, Any]": Kind(
        (
            ({"start": pendulum.datetime(2026, 3, 10, 12)}, {"start": "2026-03-10T12:00:00Z"}),
            ("{'project_id': '7'}", {"project_id": 7}),
            ({"project_id": np.int64(7), "billable": "True"}, {"project_id": 7, "billable": True}),
            ({"duration": timedelta(minutes=1), "tags": "a, b"}, {"duration": 60, "tags": ["a", "b"]}),
        ),
        (None, "", {}, 7, "x", {"colour": 1}, {"start": "noon"}, {"tag_ids": [4, None]}, {"tag_action": "drop"}, [1]),
    ),
    "Any": Kind(
        (
            ({"start": pendulum.datetime(2026, 3, 10, 12)}, {"start": "2026-03-10T12:00:00Z"}),
            ({"day": pendulum.date(2026, 3, 10)}, {"day": "2026-03-10"}),
            ({"ids": np.array([7, 8]), "n": np.int64(7)}, {"ids": [7, 8], "n": 7}),
            ("{'a': [1, None]}", {"a": [1, None]}),
            ('[{"a": true}]', [{"a": True}]),
            ("plain", "plain"),
            (None, None),
            ([(1, 2.5)], [[1, 2.5]]),
        ),
        (
            {1, 2},
            {"a": {1}},
            {"a": object()},
            float("nan"),
            {"a": float("inf")},
            {None: 1},
            {"a": datetime(2026, 1, 1)},
        ),
    ),
    "str | Sequence[str]": Kind(
        (
            *all_are(("a", "b"), "a, b,,a", ["a", " b "], ("a", "b"), "['a', 'b']"),
            *all_are((), None, "", "None", []),
            ([7, "x"], ("7", "x")),
        ),
        ({"a": {}}, [["a"]], b"x"),
    ),
    "str | Sequence[str | Mapping[str, str]]": Kind(
        tuple(
            (value, None)
            for value in (
                "time_entry",
                "*:*",
                ["time_entry:updated"],
                [{"entity": "project"}],
                "['time_entry']",
                '[{"entity": "project", "action": "created"}]',
                {"entity": "project"},
            )
        ),
        (None, "", [], "nothing", 7, [7], [{"entity": "x"}], {"x": 1}, True, NOON),
    ),
    "Callable[..., bool] | None": Kind(((None, None), (len, len)), ("len", 7, [len])),
    "Callable[..., Any] | None": Kind(((None, None), (len, len)), ("len", 7, [len])),
    "EventFilter | Mapping[str, Any] | str | None": Kind(
        tuple(
            (value, EventFilter(project_ids=(7,)))
            for value in (
                {"project_ids": "7"},
                {"project_ids": [np.int64(7)]},
                '{"project_ids": [7]}',
                "{'project_ids': 7}",
                EventFilter(project_ids=(7,)),
            )
        ),
        (7, True, "x", "{", [7], {"project": 7}, {"project_ids": "{{ params.p }}"}, {"project_ids": ""}, b"{}"),
    ),
}
KINDS |= {
    "Day | None": DAYS,
    "Any | None": KINDS["Any"],
    "DataFrameType": Kind((("pandas", "pandas"),), ("excel", 7, None, ["pandas"])),
    "RetryPolicy | None": Kind(((None, None),)),
    "Mapping[str, Any] | None of a hook": OBJECTS,
}
#: Parameters that take only some of what others with their annotation take, or more.
NAMED: dict[str, Kind] = {
    "stream": Kind((("time_entries", "time_entries"), (" tags ", "tags")), ("timers", 7, *TEXTS.refused)),
    "transition": Kind(
        (
            *all_are(["moved"], "moved", " moved ", ["moved"], ("moved",), "['moved']"),
            *all_are(["started", "moved"], "started,moved", ["started", "moved"]),
            *all_are(None, None, []),
        ),
        ("stop", 7, [7], [None], {"a": 1}, b"moved", NOON),
    ),
    "unknown_previous": Kind((("ignore", "ignore"), (" match ", "match")), ("guess", 7, *TEXTS.refused, *NOTHING)),
    "method": Kind((("get", "GET"), ("POST ", "POST")), ("FETCH", 7, *TEXTS.refused)),
    "endpoint": Kind((("/api/v9/me", "/api/v9/me"),), ("me", "//x", "/a?b=1", 7, *TEXTS.refused, *NOTHING)),
    "path": Kind(
        (
            *all_are("s3://bucket/toggl", "s3://bucket/toggl", " s3://bucket/toggl/ "),
            *all_are("file:///data/toggl", "/data/toggl", "file:///data/toggl", Path("/data/toggl")),
        ),
        ("toggl", "ftp://host/toggl", "s3://", "s3://key:secret@bucket/toggl", 7, *NOTHING),
    ),
    "format": Kind((("parquet", "parquet"), (" jsonl ", "jsonl")), ("csv", 7, *NOTHING)),
    "facts_timezone": Kind(
        (
            ("Europe/Berlin", "Europe/Berlin"),
            (pendulum.timezone("Europe/Berlin"), "Europe/Berlin"),
            *all_are(None, *NOTHING),
        ),
        ("Mars/Olympus", "../etc", "/etc/passwd", 7, *TEXTS.refused),
    ),
    "event_store_conn_id": Kind((*MAYBE_TEXTS.accepted, ("", "")), MAYBE_TEXTS.refused),
    "page_size": Kind(all_are(7, *SEVENS), (*NO_WHOLE, 0, -7, 10_001, *NOTHING)),
    "absent_share": Kind(((0.2, 0.2), ("0.2", 0.2), (1, 1)), (1.1, -0.1, "x", True, *NOTHING)),
    "overlap": KINDS["timedelta | float"],
    "settle": KINDS["timedelta | float"],
    "quiet_seconds": KINDS["timedelta | float"],
    "max_wait_seconds": Kind(all_are(60, *LENGTHS), (*NO_LENGTH, 121, *NOTHING)),
    "billable": MAYBE_FLAGS,
    "where": OBJECTS,
    "fields": Kind(
        (*OBJECTS.accepted, ({"estimate": timedelta(hours=1)}, {"estimate": 3600})), (*OBJECTS.refused, {"a": {1}})
    ),
    "query": Kind(
        (
            ({"since": pendulum.date(2026, 3, 10), "active": True}, {"since": "2026-03-10", "active": "true"}),
            (None, None),
        ),
        (7, "x", [1], {"a": {1}}),
    ),
}
#: The same name in different classes.
OF_CLASS: dict[tuple[str, str], Kind] = {
    ("TogglEventSensor", "consumer"): MAYBE_TEXTS,
    ("TogglEnsureTaskOperator", "project_id"): Kind(all_are(7, *SEVENS), (*IDS.refused, *NOTHING)),
    ("TogglUpdateTimeEntryOperator", "time_entry_id"): Kind(all_are(7, *SEVENS), (*IDS.refused, *NOTHING)),
    # A blank one is refused, and does not mean whatever runs; None is as if it were not given.
    ("TogglStopTimeEntryOperator", "time_entry_id"): Kind(
        (*all_are(7, *SEVENS), (None, None)), (*IDS.refused, "", " ", "None", float("nan"))
    ),
    ("TogglCreateTimeEntryOperator", "description"): Kind((*TEXTS.accepted, *all_are("", *NOTHING)), TEXTS.refused),
    ("TogglStartTimeEntryOperator", "description"): Kind((*TEXTS.accepted, *all_are("", *NOTHING)), TEXTS.refused),
    ("TogglCreateTimeEntryOperator", "stop"): Kind(
        tuple(pair for pair in MOMENTS.accepted if pair[1]), MOMENTS.refused
    ),
}


#: Odd values of every kind, for whatever takes anything.
ODD = [
    *NOTHING, True, 0, -1, 7, 7.5, 2**63, float("inf"), "x", "٧", "\x00", "{", "[1", "a" * 5000, b"x", object(), [],
    {}, (), set(), [None], [[]], {"a": {1: 2}}, {None: 1}, [object()], DAY, datetime(2026, 1, 1), NOON, timedelta(1),
    np.nan, np.array([]), np.array([1, 2]), np.array(7), pd.Series([1.5, None]), np.datetime64("NaT"),
    np.timedelta64("NaT"), Decimal("NaN"), Decimal("sNaN"), 1j, range(3), iter([1]), Path("x"), object, len,
    datetime.max, datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    timedelta.max, "9" * 400, "1e999", "0001-01-01T00:00:00+14:00", "[" * 2000, "((" * 500, "{'a': __import__('os')}",
]  # fmt: skip


def kind_of(owner: str, name: str, annotation: str) -> Kind:
    kind = OF_CLASS.get((owner, name)) or NAMED.get(name) or KINDS.get(annotation)
    assert kind, f"{owner}.{name}: {annotation} has no row in KINDS; say what it takes"
    return kind


def refusal_of(call: Callable[[], Any]) -> str:
    """Return the words of the ``ConfigurationError`` that a call raises, empty where it raises nothing."""
    try:
        call()
    except ConfigurationError as error:
        return str(error)
    return ""
