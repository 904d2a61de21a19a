"""Every argument of every operator, sensor and trigger, tried with values as Airflow passes them.

The cases come from the signatures: a parameter with an annotation that has no row here fails.
"""

from __future__ import annotations

import importlib
import inspect
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pendulum
import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk import DAG, Param, task
from airflow.triggers.base import BaseTrigger
from support.package_sources import package_modules

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.templates import CheckedArguments, has_reference, is_unresolved
from airflow_provider_toggl.triggers.events import ARGUMENT_PARSERS, TogglEventTrigger

pytestmark = pytest.mark.airflow

UTC = timezone.utc
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = date(2026, 3, 10)
NOTHING = (None, "", " ", "None", float("nan"), pd.NaT, pd.NA)
#: Bases of operators; nobody uses them alone.
BASES = {"QuotaDeferral", "RunDeferral", "TogglWrite"}
#: What the required parameters are, by their names.
NEEDED = {
    "stream": "time_entries",
    "endpoint": "/api/v9/me",
    "name": "Bridge",
    "description": "airflow",
    "consumer": "report",
    "seq": 3,
    "time_entry_id": 5,
    "changes": {"description": "review"},
    "start": "2026-03-10T09:00:00Z",
    "duration": 60,
    "project_id": 9,
    "enabled": True,
}
#: Checked by the operator itself, for Airflow takes it before the operator has it.
CHECKED_BY_INIT = {"TogglEventSensor": {"poke_interval", "start_from_trigger"}}


@dataclass(frozen=True)
class Kind:
    """What a parameter with some annotation takes.

    :param accepted: what is handed over, and what it is parsed to.
    :param refused: what raises ``ConfigurationError``.
    """

    accepted: tuple[tuple[Any, Any], ...]
    refused: tuple[Any, ...] = ()


def all_are(result: Any, *values: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((value, result) for value in values)


SEVENS = (7, "7", " 7 ", 7.0, "7.0", Decimal(7), np.int64(7), np.float64(7), np.int32(7))
NO_WHOLE = (
    True,
    np.True_,
    7.5,
    "7.5",
    "seven",
    "٧",
    "1_000",
    "7;",
    [7, "x"],
    {"a": 7},
    2**63,
    1e30,
    float("inf"),
    b"7",
    NOON,
)
IDS = Kind((*all_are(7, *SEVENS), *all_are(None, *NOTHING)), (*NO_WHOLE, 0, -7, "0"))
DAYS = Kind(
    (
        *all_are(DAY, DAY, "2026-03-10", " 2026-03-10 ", pendulum.date(2026, 3, 10), "20260310", 20260310),
        *all_are(DAY, np.datetime64("2026-03-10")),
        *all_are(
            NOON,
            NOON,
            pendulum.datetime(2026, 3, 10, 12, tz="UTC"),
            pendulum.datetime(2026, 3, 10, 13, tz="Europe/Berlin"),
            pd.Timestamp("2026-03-10T12:00", tz="UTC"),
            "2026-03-10T12:00:00Z",
            "2026-03-10T13:00:00+01:00",
            "2026-03-10 12:00:00+00:00",
            "2026-03-10T12:00:00.000000+00:00",
            "20260310T120000+0000",
            NOON.isoformat(),
            str(pendulum.datetime(2026, 3, 10, 12, tz="UTC")),
        ),
        *all_are(None, *NOTHING),
    ),
    (
        "90 days ago",
        "yesterday",
        "2026-02-30",
        "10/03/2026",
        datetime(2026, 3, 10),
        "2026-03-10T12:00:00",
        True,
        7,
        7.5,
        timedelta(days=1),
        [DAY],
        {"a": 1},
        b"2026-03-10",
        np.datetime64("2026-03-10T12:00:00"),
        pd.Timestamp("2026-03-10"),
    ),
)
MOMENTS = Kind(
    (*(pair for pair in DAYS.accepted if pair[1] == NOON), *all_are(None, *NOTHING)),
    (
        "noon",
        "2026-03-10",
        DAY,
        pendulum.date(2026, 3, 10),
        datetime(2026, 3, 10),
        "2026-03-10T12:00:00",
        True,
        7,
        [NOON],
        b"x",
    ),
)
LENGTHS = (
    60,
    "60",
    60.0,
    " 60.0 ",
    timedelta(minutes=1),
    pendulum.duration(minutes=1),
    "0:01:00",
    str(timedelta(minutes=1)),
    np.int64(60),
    np.timedelta64(60, "s"),
    pd.Timedelta(minutes=1),
    Decimal(60),
)
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
            [7],
            *SEVENS,
            [7],
            (7,),
            {7},
            ["7"],
            "[7]",
            "('7',)",
            np.array([7]),
            pd.Series([7]),
            [np.int64(7)],
            range(7, 8),
        ),
        *all_are([7, 8], "7,8", "7, 8", [7, "8"], (7, 8.0), "[7, 8]", "['7', '8']", np.array([7, 8])),
        *all_are(None, None, []),
    ),
    (True, 7.5, "x", "7,x", [7, None], [[7]], {"a": 7}, ["7", ""], b"7", NOON),
)
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
        ("yesterday", DAY, datetime(2026, 3, 10), "2026-03-10", True, -1, [NOON]),  # noqa: DTZ001
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
#: Parameters that take only some of what others with their annotation take, or more.
NAMED: dict[str, Kind] = {
    "stream": Kind((("time_entries", "time_entries"), (" tags ", "tags")), ("timers", 7, *TEXTS.refused)),
    "method": Kind((("get", "GET"), ("POST ", "POST")), ("FETCH", 7, *TEXTS.refused)),
    "endpoint": Kind((("/api/v9/me", "/api/v9/me"),), ("me", "//x", "/a?b=1", 7, *TEXTS.refused, *NOTHING)),
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


def public_classes(base: type) -> list[type]:
    """Return the classes of the package that people build, by their names."""
    found = {}
    for module in package_modules():
        part = module.name.split(".")[1] if "." in module.name else ""
        if part not in ("operators", "sensors", "transfers", "triggers"):
            continue
        for name, one in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(one) and issubclass(one, base) and one.__module__ == module.name:
                if not name.startswith("_") and name not in BASES:
                    found[name] = one
    return [found[name] for name in sorted(found)]


OPERATORS = public_classes(BaseOperator)


def parameters(one: type) -> dict[str, inspect.Parameter]:
    """Return the parameters that a class and its bases in this package have."""
    found: dict[str, inspect.Parameter] = {}
    for base in reversed(one.__mro__):
        if base.__module__.startswith("airflow_provider_toggl") and "__init__" in vars(base):
            found |= inspect.signature(vars(base)["__init__"]).parameters
    skipped = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {name: each for name, each in found.items() if name != "self" and each.kind not in skipped}


def kind_of(one: type, name: str, annotation: str) -> Kind:
    kind = OF_CLASS.get((one.__name__, name)) or NAMED.get(name) or KINDS.get(annotation)
    assert kind, f"{one.__name__}.{name}: {annotation} has no row in KINDS; say what it takes"
    return kind


CASES = [(one, name, str(each.annotation)) for one in OPERATORS for name, each in parameters(one).items()]
TRIGGER_CASES = [(name, str(each.annotation)) for name, each in parameters(TogglEventTrigger).items()]
each_argument = pytest.mark.parametrize(
    ("one", "name", "annotation"), CASES, ids=[f"{one.__name__}.{name}" for one, name, _ in CASES]
)
each_operator = pytest.mark.parametrize("one", OPERATORS, ids=lambda one: one.__name__)


def build(one: type, **more: Any) -> Any:
    """Return an operator with what it needs, and more."""
    given = {"task_id": "one", **{name: NEEDED[name] for name in parameters(one) if name in NEEDED}, **more}
    if one.__name__ == "TogglEventSensor":
        given = {"task_id": "one", **more}
    if "subscription_id" in parameters(one) and "description" in more:
        given.setdefault("subscription_id", 5)
    if "stop" in more:
        given.pop("duration", None)
    if "until" in more and "incremental" in parameters(one):
        given |= {"incremental": False, "since": "2026-01-01"} | more
    if more.get("incremental") is not None and "since" in parameters(one):
        given |= {"since": "2026-01-01"} | more
    return one(**given)


def equals(found: Any, wanted: Any) -> bool:
    return type(found) is type(wanted) and found == wanted if isinstance(wanted, bool) else found == wanted


def test_every_operator_is_tried():
    assert len(OPERATORS) >= 20
    assert [one.__name__ for one in public_classes(BaseTrigger)][:1] == ["TogglEventTrigger"]
    assert all(issubclass(one, CheckedArguments) for one in OPERATORS)


@each_argument
def test_every_argument_has_a_parser(one: Any, name: str, annotation: str):
    assert name in one.argument_parsers or name in CHECKED_BY_INIT.get(one.__name__, ())
    assert kind_of(one, name, annotation)


@each_argument
def test_what_an_argument_takes_is_taken_when_a_dag_is_parsed_and_when_a_task_runs(
    one: Any, name: str, annotation: str
):
    for value, wanted in kind_of(one, name, annotation).accepted:
        operator = build(one, **{name: value})
        if name in CHECKED_BY_INIT.get(one.__name__, ()):
            continue
        operator.parse_arguments()
        found = getattr(operator, name)
        assert wanted is None or equals(found, wanted), (name, value, found)
        # A task that is run again in the same process parses once more.
        operator.parse_arguments()
        assert getattr(operator, name) is found or equals(getattr(operator, name), found)


@each_argument
def test_what_an_argument_does_not_take_is_refused_by_its_name(one: Any, name: str, annotation: str):
    for value in kind_of(one, name, annotation).refused:
        with pytest.raises(ConfigurationError) as caught:
            build(one, **{name: value})
            pytest.fail(f"{one.__name__}({name}={value!r}) was taken")
        said = str(caught.value)
        assert name in said or "no stream" in said or "filter" in said, said


ODD = [
    *NOTHING,
    True,
    0,
    -1,
    7,
    7.5,
    2**63,
    float("inf"),
    "x",
    "٧",
    "\x00",
    "{",
    "[1",
    "a" * 5000,
    b"x",
    object(),
    [],
    {},
    (),
    set(),
    [None],
    [[]],
    {"a": {1: 2}},
    {None: 1},
    [object()],
    DAY,
    datetime(2026, 1, 1),
    NOON,
    timedelta(1),
    np.nan,
    np.array([]),
    np.array([1, 2]),
    np.array(7),
    pd.Series([1.5, None]),
    np.datetime64("NaT"),
    np.timedelta64("NaT"),
    Decimal("NaN"),
    Decimal("sNaN"),
    1j,
    range(3),
    iter([1]),
    Path("x"),
    DAG,
    len,
    datetime.max,
    datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    timedelta.max,
    "9" * 400,
    "1e999",
    "0001-01-01T00:00:00+14:00",
    "[" * 2000,
    "((" * 500,
    "{'a': __import__('os')}",
]


@each_argument
def test_whatever_an_argument_is_given_no_other_error_is_raised(one: Any, name: str, annotation: str):
    for value in ODD:
        try:
            operator = build(one, **{name: value})
            if name in operator.__dict__:
                operator.parse_arguments()
        except ConfigurationError as error:
            assert len(str(error)) < 1000
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{one.__name__}({name}={value!r:.60}) raised {error!r:.300}")


@each_argument
def test_whatever_a_template_comes_to_no_other_error_is_raised(one: Any, name: str, annotation: str):
    if name not in one.template_fields:
        return
    for value in ODD:
        operator = build(one, **{name: "{{ params.x }}"})
        setattr(operator, name, value)
        try:
            operator.parse_arguments()
        except ConfigurationError:
            pass
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{one.__name__}({name}={value!r:.60}) raised {error!r:.300}")


# -- what Airflow fills in ---------------------------------------------------------------------------------------------


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("d", schedule=None, params={"x": Param(1, type="integer")}) as dag:
        yield dag


def references(dag: DAG) -> dict[str, Any]:
    """Return everything that Airflow fills in before a task runs."""

    @task
    def first():
        return 5

    @task
    def second():
        return {"a": 5}

    x, y = first(), second()
    return {
        "XComArg": x,
        "a key of an XComArg": y["a"],
        "map": x.map(str),
        "zip": x.zip(y),
        "concat": x.concat(y),
        "in a list": [x],
        "in a tuple": (1, x),
        "template in a set": {"{{ params.x }}"},
        "in a dict": {"a": x},
        "deep": {"a": [{"b": (x,)}]},
        "dag.param": dag.param("x"),
        "dag.param in a list": [dag.param("x")],
        "expression": "{{ params.x }}",
        "statement": "{% if params.x %}1{% endif %}",
        "comment": "{# which one #}1",
        "template in a list": ["{{ params.x }}"],
        "template in a dict": {"a": {"b": "{{ params.x }}"}},
    }


@each_argument
def test_whatever_airflow_fills_in_is_left_until_then(dag: DAG, one: Any, name: str, annotation: str):
    for index, (what, value) in enumerate(references(dag).items()):
        assert is_unresolved(value), what
        if name in one.template_fields:
            operator = build(one, task_id=f"one_{index}", **{name: value})
            assert getattr(operator, name) is value
            if has_reference(value) and "dag.param" not in what:
                assert operator.upstream_task_ids, what
        else:
            with pytest.raises(ConfigurationError, match=name):
                build(one, task_id=f"one_{index}", **{name: value})


@each_operator
def test_a_function_for_a_templated_field_is_left_to_airflow(one: Any):
    def value(context: Any, jinja_env: Any) -> Any:
        return None

    for name in one.template_fields:
        if name in parameters(one):
            assert getattr(build(one, **{name: value}), name) is value


@each_argument
def test_a_mapped_task_takes_references_and_refuses_wrong_constants(dag: DAG, one: Any, name: str, annotation: str):
    needed = {other: NEEDED[other] for other in parameters(one) if other in NEEDED and other != name}
    needed = {} if one.__name__ == "TogglEventSensor" else needed

    @task
    def several():
        return [1, 2]

    if name not in CHECKED_BY_INIT.get(one.__name__, ()):
        mapped = one.partial(task_id="mapped", **needed).expand(**{name: several()})
        assert mapped.upstream_task_ids == {"several"}
        refused = kind_of(one, name, annotation).refused[0]
        with pytest.raises(ConfigurationError):
            one.partial(task_id="other", **{name: refused})


@each_operator
def test_dags_with_references_everywhere_are_serialized(dag: DAG, one: Any):
    from airflow.serialization.serialized_objects import DagSerialization

    for index, value in enumerate(references(dag).values()):
        for name in one.template_fields:
            if name in parameters(one):
                build(one, task_id=f"{name}_{index}", **{name: value})
    data = DagSerialization.to_dict(dag)
    json.dumps(data)
    assert DagSerialization.from_dict(data).task_ids == dag.task_ids


@each_operator
def test_dags_with_every_value_are_serialized(dag: DAG, one: Any):
    from airflow.serialization.serialized_objects import DagSerialization

    more = {"start_from_trigger": True} if one.__name__ == "TogglEventSensor" else {}
    for name, each in parameters(one).items():
        for index, (value, _) in enumerate(kind_of(one, name, str(each.annotation)).accepted):
            build(one, task_id=f"{name}_{index}", **{**more, name: value})
    data = DagSerialization.to_dict(dag)
    json.dumps(data)
    assert DagSerialization.from_dict(data).task_ids == dag.task_ids


# -- triggers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "annotation"), TRIGGER_CASES, ids=[name for name, _ in TRIGGER_CASES])
@pytest.mark.parametrize("once", [True, False])
def test_every_argument_of_the_trigger_is_taken_or_refused_by_its_name_and_survives_storing(
    name: str, annotation: str, once: bool
):
    from airflow.serialization.encoders import encode_trigger

    assert name in ARGUMENT_PARSERS
    kind = kind_of(TogglEventTrigger, name, annotation)
    if name == "consumer":
        kind = MAYBE_TEXTS
    for value, wanted in kind.accepted:
        trigger = TogglEventTrigger(**{"once": once, name: value})
        _, kwargs = trigger.serialize()
        json.dumps(kwargs)
        encode_trigger(trigger)
        assert TogglEventTrigger(**json.loads(json.dumps(kwargs))).serialize() == trigger.serialize()
        if wanted is not None and name != "event_filter":
            assert equals(getattr(trigger, name), wanted), (name, value)
    for value in kind.refused:
        if once and is_unresolved(value):
            continue
        with pytest.raises(ConfigurationError):
            TogglEventTrigger(**{"once": once, name: value})
            pytest.fail(f"{name}={value!r} was taken")
    for value in ODD:
        try:
            json.dumps(TogglEventTrigger(**{"once": once, name: value}).serialize())
        except ConfigurationError:
            continue
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"{name}={value!r:.60} raised {error!r:.300}")


# -- limits ------------------------------------------------------------------------------------------------------------


@each_operator
def test_a_limit_that_a_template_leaves_empty_fails_instead_of_doing_more(one: Any):
    for name in sorted(one.limiting_arguments):
        for empty in (None, "", "None", []):
            operator = build(one, **{name: "{{ dag_run.conf.get('x') }}"})
            setattr(operator, name, empty)
            if empty == [] and name not in ("project_id", "entity"):
                continue
            with pytest.raises(ConfigurationError, match=f"{name} is .*"):
                operator.parse_arguments()


def test_what_is_filled_in_is_found_as_airflow_finds_it(dag: DAG):
    warnings.simplefilter("error")
    for value in ("plain", "{ braces }", "100%", 5, None, ["a"], {"a": Path("x")}, Path("{x}"), {"{{ x }}": 1}, NOON):
        assert not is_unresolved(value)
