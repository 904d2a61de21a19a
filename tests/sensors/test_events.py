from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from support.airflow_home import free_port
from support.connections import Connections
from support.task_log import task_log
from support.webhook_events import change_event

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.sensors.events import TogglEventSensor
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = pytest.mark.airflow

RUN = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


class Ti(SimpleNamespace):
    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


def context(**more: Any) -> Any:
    ti = Ti(start_date=RUN + HOUR, first_reschedule=None)
    return {"dag_run": SimpleNamespace(start_date=RUN), "ti": ti, **more}


def sensor(**fields: Any) -> TogglEventSensor:
    return TogglEventSensor(**{"task_id": "wait", **fields})


def deferred(task: TogglEventSensor, given: Any = None) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.execute(given or context())
    return caught.value


def test_a_stored_match_ends_the_sensor_without_deferring(store: SqliteEventStore):
    store.append(
        [
            change_event(1, created_at=RUN - HOUR),
            change_event(2, created_at=RUN),
            change_event(3, created_at=RUN + HOUR),
        ]
    )
    assert sensor().execute(context())["seq"] == 2


@pytest.mark.parametrize(
    ("look_back", "more", "first"),
    [
        ("data_interval", {}, 3),
        ("data_interval", {"data_interval_start": RUN - HOUR}, 2),
        ("data_interval", {"data_interval_start": None}, 3),
        (timedelta(hours=2), {}, 1),
        (RUN - HOUR, {}, 2),
        ("2026-05-02T12:00:00+01:00", {}, 2),
        (None, {}, 4),
    ],
)
def test_look_back_sets_where_the_search_starts(
    store: SqliteEventStore, look_back: Any, more: dict[str, Any], first: int
):
    store.append(
        [
            change_event(number + 3, created_at=RUN + number * HOUR, received_at=RUN + 5 * HOUR)
            for number in (-2, -1, 0, 1)
        ]
    )
    assert sensor(look_back=look_back).execute(context(**more))["seq"] == first


def test_it_defers_after_the_events_that_it_searched(store: SqliteEventStore):
    store.append([change_event(1, project_id=8, created_at=RUN + HOUR)])
    stop = deferred(sensor(project_id="9", entity=["time_entry"], where={"billable": True}, timeout=90))
    assert isinstance(stop.trigger, TogglEventTrigger)
    _, kwargs = stop.trigger.serialize()
    assert kwargs["after"] == 1
    assert kwargs["since"] == RUN.isoformat()
    assert (kwargs["once"], kwargs["end_from_trigger"]) == (True, True)
    assert json.loads(kwargs["event_filter"]) == {
        "entities": ["time_entry"],
        "project_ids": [9],
        "where": {"billable": {"eq": True}},
    }
    assert stop.timeout == timedelta(seconds=90)
    assert "a-secret-token" not in json.dumps(kwargs)


def test_it_defers_while_the_store_is_unavailable(connections: Connections):
    connections.set("elsewhere", conn_type="postgres", host="127.0.0.1", port=free_port(), schema="events")
    _, kwargs = deferred(sensor(event_store_conn_id="elsewhere", consumer="report")).trigger.serialize()
    assert (kwargs["after"], kwargs["since"], kwargs["consumer"]) == (None, RUN.isoformat(), "report")


def test_the_wait_is_logged_with_fields(store: SqliteEventStore):
    store.append([change_event(1, created_at=RUN - HOUR)])
    with task_log() as find:
        deferred(sensor(consumer="report"))
    line = find("waiting in the triggerer for an event after 1")
    assert (line["connection"], line["by"], line["consumer"], line["seq"]) == ("toggl_default", "wait", "report", 1)


def test_every_try_starts_at_the_same_event(store: SqliteEventStore):
    tries = [deferred(sensor()), deferred(sensor())]
    store.append([change_event(1, created_at=RUN)])
    assert [stop.trigger.serialize()[1]["after"] for stop in tries] == [0, 0]
    assert sensor().execute(context())["seq"] == 1


def test_a_sensor_with_a_consumer_starts_after_its_commit(store: SqliteEventStore):
    store.append([change_event(number, created_at=RUN - HOUR) for number in (1, 2, 3)])
    task = {"consumer": "report", "look_back": RUN}
    assert deferred(sensor(**task))
    store.commit("report", 1)
    assert sensor(**task).execute(context())["seq"] == 2
    store.commit("report", 3)
    _, kwargs = deferred(sensor(**task)).trigger.serialize()
    assert (kwargs["after"], kwargs["since"]) == (3, None)


def test_a_poke_searches_only_new_events(store: SqliteEventStore):
    task = sensor(deferrable=False)
    assert not task.poke(context())
    store.append([change_event(1, created_at=RUN)])
    answer = task.poke(context())
    assert answer.is_done
    assert answer.xcom_value["seq"] == 1


def test_a_rescheduled_sensor_without_a_look_back_finds_events_since_its_first_try(store: SqliteEventStore):
    store.append([change_event(1, created_at=RUN + HOUR)])
    given = context(ti=Ti(start_date=RUN + 2 * HOUR, first_reschedule=RUN))
    assert sensor(deferrable=False, mode="reschedule", look_back=None).poke(given).is_done


def test_the_trigger_s_event_is_the_result():
    assert sensor().resume(context(), event={"seq": 5}) == {"seq": 5}


def test_a_task_that_ended_in_the_triggerer_and_is_resumed_finds_its_event(store: SqliteEventStore):
    store.append([change_event(1, created_at=RUN)])
    assert sensor().resume(context(), event="success")["seq"] == 1


TIMED_OUT = {"error": "Trigger timeout"}


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_a_timeout_fails_or_skips(soft_fail: bool, error: type[Exception]):
    with pytest.raises(error):
        sensor(soft_fail=soft_fail).resume_execution("__fail__", TIMED_OUT, context())


@pytest.mark.parametrize("reason", [TIMED_OUT, {"error": "Trigger failure", "traceback": ["no"]}])
def test_a_match_is_found_before_a_timeout_or_failure_fails_the_task(store: SqliteEventStore, reason: Any):
    store.append([change_event(1, created_at=RUN)])
    assert sensor().resume_execution("__fail__", reason, context())["seq"] == 1


def test_templates_are_not_checked_before_they_are_rendered():
    task = sensor(project_id="{{ params.project }}", look_back="{{ ts }}", transition="{{ params.transition }}")
    assert {"transition", "from_project_id", "to_project_id"} <= set(task.template_fields)


def test_a_task_with_outlets_ends_on_a_worker(store: SqliteEventStore):
    from airflow_provider_toggl.assets import toggl_asset

    stop = deferred(sensor(outlets=[toggl_asset(7)]))
    assert stop.trigger.serialize()[1]["end_from_trigger"] is False


@pytest.mark.parametrize(
    ("given", "listens", "ends"), [(None, False, True), (None, True, False), (False, False, False)]
)
def test_a_task_ends_in_the_triggerer_only_if_no_plugin_listens(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch, given: Any, listens: bool, ends: bool
):
    from airflow.sdk import listener

    monkeypatch.setattr(listener, "get_listener_manager", lambda: SimpleNamespace(has_listeners=listens))
    task = sensor(end_from_trigger=given)
    assert not task.end_from_trigger  # else Airflow refuses the DAG where a plugin listens
    assert deferred(task).trigger.serialize()[1]["end_from_trigger"] is ends


def test_a_task_that_starts_in_the_triggerer_is_rendered_there():
    from airflow_provider_toggl.sensors.events import TRIGGERER_RENDERS

    task = sensor(project_id="{{ params.project }}", start_from_trigger=True)
    assert task.start_from_trigger is TRIGGERER_RENDERS
    if TRIGGERER_RENDERS:
        trigger = TogglEventTrigger(**task.start_trigger_args.trigger_kwargs)
        env = trigger.get_template_env()
        given = {"dag_run": SimpleNamespace(start_date=RUN), "params": {"project": 9}}
        trigger.render_template_fields(given, env)
        assert again(trigger) == {"event_filter": '{"project_ids": [9]}', "since": RUN.isoformat()}


def again(trigger: TogglEventTrigger) -> dict[str, Any]:
    kwargs = trigger.serialize()[1]
    return {name: kwargs[name] for name in ("event_filter", "since")}


def test_without_a_look_back_the_task_starts_on_a_worker():
    assert sensor(look_back=None, start_from_trigger=True).start_from_trigger is False


@pytest.mark.parametrize("fields", [{}, {"deferrable": False}], ids=["deferrable", "poking"])
def test_it_matches_transitions(store: SqliteEventStore, fields: dict[str, Any]):
    at = {"created_at": RUN + HOUR}
    store.append(
        [
            change_event(1, id=5, action="created", duration=-1, project_id=1, **at),
            change_event(2, id=5, duration=60, project_id=2, **at),
            change_event(3, id=5, duration=60, project_id=2, **at),
        ]
    )
    found = sensor(transition="stopped", project_id=2, **fields).execute(context())
    assert (found["seq"], found["count"], found["transitions"]) == (2, 1, ["stopped"])
    found = sensor(from_project_id="1", to_project_id=[2, 3], **fields).execute(context())
    assert (found["seq"], found["transitions"]) == (2, ["moved"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"project_id": "x"},
        {"look_back": "yesterday"},
        {"look_back": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"where": {"a": {"b": 1}}},
        {"transition": "stop"},
        {"transition": "stopped", "entity": "project"},
        {"to_project_id": "x"},
        {"unknown_previous": "guess"},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError, match=r"transition|project_id|unknown_previous|look_back|where"):
        sensor(**wrong)
