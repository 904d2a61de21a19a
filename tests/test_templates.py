"""Every argument of every operator, sensor and trigger, tried with values as Airflow passes them.

The cases come from the signatures: a parameter with an annotation that has no row here fails.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator
from airflow.sdk import DAG, Param
from airflow.triggers.base import BaseTrigger
from support.argument_values import MAYBE_TEXTS, NOON, ODD, kind_of, refusal_of
from support.connections import Connections
from support.fixtures import connections, sandbox, store
from support.repository import package_modules
from support.webhook_events import change_event

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.templates import CheckedArguments, has_reference, is_unresolved
from airflow_provider_toggl.triggers.events import ARGUMENT_PARSERS, TogglEventTrigger

pytestmark = pytest.mark.airflow

__all__ = ["connections", "sandbox", "store"]

#: Bases of operators; nobody uses them alone.
BASES = {"QuotaDeferral", "ReadTransfer", "ReadingTask", "RunDeferral", "StreamReadingTask", "TogglWriteBase"}
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
    "path": "/tmp/toggl",
    "warehouse_conn_id": "warehouse",
}
#: Checked by the operator itself, for Airflow takes it before the operator has it.
CHECKED_BY_INIT = {"TogglEventSensor": {"poke_interval", "start_from_trigger"}}


def public_classes(base: type) -> list[type]:
    """Return the classes of the package that people build, by their names."""
    found = {}
    for module in package_modules():
        part = module.name.split(".")[1] if "." in module.name else ""
        if part not in ("operators", "sensors", "transfers", "triggers"):
            continue
        for name, one in vars(importlib.import_module(module.name)).items():
            is_own = inspect.isclass(one) and issubclass(one, base) and one.__module__ == module.name
            if is_own and not name.startswith("_") and name not in BASES:
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


CASES = [(one, name, str(each.annotation)) for one in OPERATORS for name, each in parameters(one).items()]
TRIGGER_CASES = [(name, str(each.annotation)) for name, each in parameters(TogglEventTrigger).items()]
each_argument = pytest.mark.parametrize(
    ("one", "name", "annotation"), CASES, ids=[f"{one.__name__}.{name}" for one, name, _ in CASES]
)
each_operator = pytest.mark.parametrize("one", OPERATORS, ids=lambda one: one.__name__)


def of_each_argument(test: Callable[[Any, str, str], None]) -> Callable[..., None]:
    """Run a test for every argument of an operator, as one test: they are many and take little."""

    @each_operator
    def run(one: Any) -> None:
        for name, each in parameters(one).items():
            test(one, name, str(each.annotation))

    run.__name__ = run.__qualname__ = test.__name__
    return run


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


def test_every_operator_is_tested():
    assert len(OPERATORS) >= 20
    assert [one.__name__ for one in public_classes(BaseTrigger)][:1] == ["TogglEventTrigger"]
    assert all(issubclass(one, CheckedArguments) for one in OPERATORS)


@of_each_argument
def test_every_argument_has_a_parser(one: Any, name: str, annotation: str):
    assert name in one.argument_parsers or name in CHECKED_BY_INIT.get(one.__name__, ())
    assert kind_of(one.__name__, name, annotation)


@of_each_argument
def test_valid_arguments_are_accepted_at_parse_time_and_at_run_time(one: Any, name: str, annotation: str):
    for value, wanted in kind_of(one.__name__, name, annotation).accepted:
        operator = build(one, **{name: value})
        if name in CHECKED_BY_INIT.get(one.__name__, ()):
            continue
        operator.parse_arguments()
        found = getattr(operator, name)
        assert wanted is None or equals(found, wanted), (name, value, found)
        # A task that is run again in the same process parses once more.
        operator.parse_arguments()
        assert getattr(operator, name) is found or equals(getattr(operator, name), found)


@of_each_argument
def test_an_invalid_argument_is_refused_by_its_name(one: Any, name: str, annotation: str):
    for value in kind_of(one.__name__, name, annotation).refused:
        said = refusal_of(lambda: build(one, **{name: value}))  # noqa: B023 - called at once
        assert said, f"{one.__name__}({name}={value!r}) was taken"
        assert name in said or "no stream" in said or "filter" in said, said


@of_each_argument
def test_any_argument_raises_at_most_a_configuration_error(one: Any, name: str, annotation: str):
    for value in ODD:
        assert len(refusal_of(lambda: build(one, **{name: value}).parse_arguments())) < 1000  # noqa: B023 - called at once


@of_each_argument
def test_any_rendered_template_raises_at_most_a_configuration_error(one: Any, name: str, annotation: str):
    if name not in one.template_fields:
        return
    for value in ODD:
        operator = build(one, **{name: "{{ params.x }}"})
        setattr(operator, name, value)
        assert len(refusal_of(operator.parse_arguments)) < 1000


# -- what Airflow fills in ---------------------------------------------------------------------------------------------


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("d", schedule=None, params={"x": Param(1, type="integer")}) as dag:
        yield dag


def references(dag: DAG) -> dict[str, Any]:
    """Return everything that Airflow fills in before a task runs."""
    from airflow.sdk import task

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
def test_templates_and_references_are_not_parsed_before_the_task_runs(dag: DAG, one: Any, name: str, annotation: str):
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
def test_a_mapped_task_accepts_references_and_refuses_invalid_constants(dag: DAG, one: Any, name: str, annotation: str):
    needed = {other: NEEDED[other] for other in parameters(one) if other in NEEDED and other != name}
    needed = {} if one.__name__ == "TogglEventSensor" else needed

    from airflow.sdk import task

    @task
    def several():
        return [1, 2]

    if name not in CHECKED_BY_INIT.get(one.__name__, ()):
        mapped = one.partial(task_id="mapped", **needed).expand(**{name: several()})
        assert mapped.upstream_task_ids == {"several"}
        refused = kind_of(one.__name__, name, annotation).refused[0]
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
        for index, (value, _) in enumerate(kind_of(one.__name__, name, str(each.annotation)).accepted):
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
    kind = kind_of("TogglEventTrigger", name, annotation)
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
        assert refusal_of(lambda: TogglEventTrigger(**{"once": once, name: value})), value  # noqa: B023 - called at once
    for value in ODD:
        refusal_of(lambda: json.dumps(TogglEventTrigger(**{"once": once, name: value}).serialize()))  # noqa: B023 - likewise


# -- limits ------------------------------------------------------------------------------------------------------------


@each_operator
def test_a_limiting_argument_that_renders_to_nothing_fails(one: Any):
    for name in sorted(one.limiting_arguments):
        for empty in (None, "", "None", []):
            operator = build(one, **{name: "{{ dag_run.conf.get('x') }}"})
            setattr(operator, name, empty)
            if empty == [] and name not in ("project_id", "entity"):
                continue
            with pytest.raises(ConfigurationError, match=f"{name} is .*"):
                operator.parse_arguments()


def test_templates_and_references_are_found_as_airflow_finds_them(dag: DAG):
    for value in ("plain", "{ braces }", "100%", 5, None, ["a"], {"a": Path("x")}, Path("{x}"), {"{{ x }}": 1}, NOON):
        assert not is_unresolved(value)


# -- in Airflow --------------------------------------------------------------------------------------------------------

VALUES = Path(__file__).parent / "values_dags" / "values.py"


# On 3.2, a run in this process takes a minute.
@pytest.fixture(params=[pytest.param(False, id="text"), pytest.param(True, id="native", marks=pytest.mark.newest)])
def values(request: pytest.FixtureRequest, dag_file: Callable[[str, str], Any]) -> Any:
    """A DAG whose templates render to text or to native values."""
    return dag_file("values", VALUES.read_text().replace("NATIVE = False", f"NATIVE = {request.param}"))


def test_a_dag_run_takes_templates_params_and_results_of_tasks_everywhere(
    sandbox: RunningSandbox, connections: Connections, store: SqliteEventStore, values: DAG
):
    connections.toggl(sandbox)
    connections.duckdb()
    now = datetime.now(timezone.utc)
    store.append(
        [change_event(1, project_id=8, user_id=7, duration=60, billable=True, created_at=now, received_at=now)]
    )
    run = values.test()
    states = {f"{one.task_id}[{one.map_index}]": one.state for one in run.get_task_instances()}
    assert set(states.values()) == {"success"}, states
    results = {one.task_id: one.xcom_pull(task_ids=one.task_id) for one in run.get_task_instances()}
    assert results["project"]["name"] == "50"
    assert results["changed"]["tags"] == ["given"]
    assert results["waited"]["seq"] == 1
    assert [row["name"] for row in results["asked"]] == ["50"]
