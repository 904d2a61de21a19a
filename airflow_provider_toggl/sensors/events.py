"""Wait for an event of Toggl in the middle of a DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue
from airflow.triggers.base import BaseEventTrigger, StartTriggerArgs

from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_choice,
    parse_conn_id,
    parse_flag,
    parse_ids,
    parse_look_back,
    parse_object,
    parse_seconds,
    parse_store_conn_id,
    parse_text,
    parse_words,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError, EventNotFound, EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import UNKNOWN_PREVIOUS, EventFilter
from airflow_provider_toggl.core.events.search import EventQuery, search
from airflow_provider_toggl.core.events.transitions import TRANSITIONS
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.task_context import run_started
from airflow_provider_toggl.templates import CheckedArguments, has_reference, is_unresolved
from airflow_provider_toggl.triggers.events import TogglEventTrigger

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

Ids = int | str | Sequence[int | str] | None
Words = str | Sequence[str] | None

DATA_INTERVAL = "data_interval"
_INTERVAL_START = (
    "{{ data_interval_start if data_interval_start is defined and data_interval_start else dag_run.start_date }}"
)
TRIGGERER_RENDERS = hasattr(BaseEventTrigger, "shared_stream_key")
"""Airflow 3.3 and later: the triggerer fills in the templates of a task that starts there."""


class TogglEventSensor(CheckedArguments, BaseSensorOperator):
    """Wait until Toggl tells of an event that counts, also of one that came before the sensor began.

    It looks into the event store first, and waits in the triggerer only when there is nothing yet, where all waiting
    sensors together cost one reader. Every try begins at the same place, so that a retry misses nothing. The result is
    the first event that counts, the same on every path: ``seq``, ``event_id`` (text), ``entity``, ``action``,
    ``entity_id``, ``workspace_id``, ``created_at``, ``received_at`` (RFC 3339), ``count`` (how many counted when it was
    found) and ``last_seq`` (the last of those).

    :param entity: ``time_entry``, ``project``, ...; one or several. (templated)
    :param action: ``created``, ``updated`` or ``deleted``; one or several. (templated)
    :param workspace_id, project_id, user_id, client_id, tag_id: what the event belongs to, or is about; one or several
        ids, any by default. (templated)
    :param where: conditions on the payload, as ``{"billable": True, "duration": {"gte": 3600}}``. (templated)
    :param transition: what the event must have changed, compared with the version of the same entity before it:
        ``started``, ``stopped``, ``logged``, ``moved``, ``became_billable``, ``became_non_billable``, ``renamed``,
        ``deleted`` or ``restored``; one or several. The result then has ``transitions``. (templated)
    :param from_project_id, to_project_id: the project that an entry or task was moved from, or to; one or several ids.
        Either asks for the transition ``moved``. (templated)
    :param unknown_previous: what an event counts for whose entity has no earlier version in the store: ``"ignore"``:
        nothing, ``"match"``: every transition that could have led to it.
    :param look_back: from when on events count, by Toggl's clock. ``"data_interval"``: from the begin of the run's data
        interval, or of the run where it has none. A ``timedelta``: so long before the run began. A ``datetime`` or RFC
        3339 text: from then. None: from when the try begins, so that a retry does not see what came before it.
        (templated)
    :param consumer: begin after what this consumer has committed, instead; ``look_back`` tells where to begin until it
        has. (templated)
    :param toggl_conn_id: the connection whose extra names the event store. (templated)
    :param event_store_conn_id: the event store's connection, where it is another. (templated)
    :param deferrable: False keeps a worker (``mode="poke"``) or comes back to one (``mode="reschedule"``).
    :param start_from_trigger: go to the triggerer at once, without a worker. Needs Airflow 3.3 and a ``look_back``;
        without them the task goes by a worker.
    :param end_from_trigger: end there as well. None: where no plugin listens to tasks, which only workers tell of.
        A task with outlets ends on a worker in any case: only there do they get their events.
    :param poke_interval: seconds between two looks where it is not deferrable.
    """

    template_fields: Sequence[str] = (
        "entity",
        "action",
        "workspace_id",
        "project_id",
        "user_id",
        "client_id",
        "tag_id",
        "where",
        "transition",
        "from_project_id",
        "to_project_id",
        "look_back",
        "consumer",
        "toggl_conn_id",
        "event_store_conn_id",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        "entity": parse_words,
        "action": parse_words,
        "workspace_id": parse_ids,
        "project_id": parse_ids,
        "user_id": parse_ids,
        "client_id": parse_ids,
        "tag_id": parse_ids,
        "where": parse_object,
        "transition": partial(parse_words, options=TRANSITIONS),
        "from_project_id": parse_ids,
        "to_project_id": parse_ids,
        "unknown_previous": required(partial(parse_choice, options=UNKNOWN_PREVIOUS)),
        "look_back": partial(parse_look_back, words=(DATA_INTERVAL,)),
        "consumer": parse_text,
        "toggl_conn_id": parse_conn_id,
        "event_store_conn_id": parse_store_conn_id,
        "deferrable": required(parse_flag),
        "end_from_trigger": parse_flag,
    }
    limiting_arguments = frozenset(template_fields) - {"look_back", "toggl_conn_id", "event_store_conn_id"}
    ui_color = "#f5e1f0"
    start_from_trigger = False

    def __init__(
        self,
        *,
        entity: Words = None,
        action: Words = None,
        workspace_id: Ids = None,
        project_id: Ids = None,
        user_id: Ids = None,
        client_id: Ids = None,
        tag_id: Ids = None,
        where: Mapping[str, Any] | None = None,
        transition: Words = None,
        from_project_id: Ids = None,
        to_project_id: Ids = None,
        unknown_previous: str = "ignore",
        look_back: str | datetime | timedelta | None = DATA_INTERVAL,
        consumer: str | None = None,
        toggl_conn_id: str = TogglHook.default_conn_name,
        event_store_conn_id: str | None = None,
        deferrable: bool = True,
        start_from_trigger: bool = False,
        end_from_trigger: bool | None = None,
        poke_interval: timedelta | float = 10.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=required(parse_seconds)("poke_interval", poke_interval), **kwargs)
        self.entity = entity
        self.action = action
        self.workspace_id = workspace_id
        self.project_id = project_id
        self.user_id = user_id
        self.client_id = client_id
        self.tag_id = tag_id
        self.where: Any = where
        self.transition = transition
        self.from_project_id = from_project_id
        self.to_project_id = to_project_id
        self.unknown_previous = unknown_previous
        self.look_back: Any = look_back
        self.consumer = consumer
        self.toggl_conn_id = toggl_conn_id
        self.event_store_conn_id = event_store_conn_id
        self.deferrable = deferrable
        self.end_from_trigger = end_from_trigger
        self._query = EventQuery(EventFilter())
        self._reached: int | None = None
        self.check_arguments()
        given = self._wanted().items()
        EventFilter.from_dict({name: value for name, value in given if not (is_unresolved(value) or callable(value))})
        # Before Airflow 3.3 nothing fills in the templates there, and where to begin is one. Without a look-back only
        # a worker can tell it, once for all restarts of the triggerer. References are for a worker too: the arguments
        # of what starts in the triggerer are stored with the DAG.
        self.start_from_trigger = bool(
            required(parse_flag)("start_from_trigger", start_from_trigger)
            and self.deferrable
            and TRIGGERER_RENDERS
            and look_back is not None
            and not any(callable(value) or has_reference(value) for value in map(vars(self).get, self.template_fields))
        )
        if self.start_from_trigger:
            self.start_trigger_args = self._start_args()

    def execute(self, context: Context) -> Any:
        """Look, and wait if there is nothing yet; return the first event that counts."""
        self.parse_arguments()
        if not self.deferrable:
            return super().execute(context)
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="wait", consumer=self.consumer):
            try:
                if result := self._look(context):
                    return result
            except EventStoreUnavailable as error:
                self.log.warning("The triggerer looks as soon as the event store can be asked: %s", error)
            with fields(seq=self._reached):
                self.log.info("No such event yet; waiting in the triggerer for one after %s.", self._reached)
        self.defer(
            trigger=TogglEventTrigger(
                toggl_conn_id=self.toggl_conn_id,
                event_store_conn_id=self._store_conn_id(),
                event_filter=self._query.event_filter,
                since=self._query.since,
                after=self._reached,
                consumer=self.consumer,
                once=True,
                end_from_trigger=self._ends_there(),
            ),
            method_name="resume",
            timeout=timedelta(seconds=self.timeout),
        )
        raise ConfigurationError("The task could not be deferred.")

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once for what came since the last time."""
        result = self._look(context)
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Return what the trigger found.

        ``dag.test()`` resumes also a task that was ended in the triggerer, without what was found: it is looked for.
        """
        result = event if isinstance(event, dict) else self._look(context)
        if result is None:
            raise EventNotFound("The trigger fired, but the event store has no such event any more.")
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a wait; when it ended without an event, look a last time before it is a failure."""
        if next_method == "__fail__" and (result := self._look(context)):
            return result
        return super().resume_execution(next_method, next_kwargs, context)

    def _look(self, context: Context) -> dict[str, Any] | None:
        """Return the first event that counts of those that were not looked at yet."""
        if self._reached is None:
            self.parse_arguments()
            self._query = EventQuery(EventFilter.from_dict(self._wanted()), _since(self.look_back, context))
        with open_event_store(self.toggl_conn_id, event_store_conn_id=self.event_store_conn_id) as store:
            if self._reached is None:
                self._query, self._reached = self._query.resolve_start(store, self.consumer)
            found, self._reached = search(store, self._query, self._reached)
        return found.as_dict() if found else None

    def _wanted(self, *, constant: bool = False) -> dict[str, Any]:
        """Return the filter as plain data.

        :param constant: what is constant in the form that JSON can hold, before anything was filled in.
        """
        names = {
            "entities": "entity",
            "actions": "action",
            "workspace_ids": "workspace_id",
            "project_ids": "project_id",
            "user_ids": "user_id",
            "client_ids": "client_id",
            "tag_ids": "tag_id",
            "where": "where",
            "transitions": "transition",
            "from_project_ids": "from_project_id",
            "to_project_ids": "to_project_id",
            "unknown_previous": "unknown_previous",
        }
        given = {one: self._constant(name) if constant else getattr(self, name) for one, name in names.items()}
        return {name: value for name, value in given.items() if value is not None}

    def _constant(self, name: str) -> Any:
        """Return an argument parsed, or as it is where Airflow has still to fill something in."""
        value = getattr(self, name)
        return value if is_unresolved(value) else self.argument_parsers[name](name, value)

    def _store_conn_id(self) -> str:
        """Return the event store's connection, so that the triggerer need not read the one with the API token."""
        return (
            resolve_store_conn_id(self.toggl_conn_id) if self.event_store_conn_id is None else self.event_store_conn_id
        )

    def _ends_there(self) -> bool:
        if self.outlets or not self.do_xcom_push:
            return False
        if self.end_from_trigger is None:
            from airflow.sdk.listener import get_listener_manager  # noqa: PLC0415 - loads all plugins

            return not get_listener_manager().has_listeners
        return self.end_from_trigger

    def _start_args(self) -> StartTriggerArgs:
        """Return what the triggerer begins with; the templates in it are filled in there."""
        since: Any = self._constant("look_back")
        if since == DATA_INTERVAL:
            since = _INTERVAL_START
        elif isinstance(since, timedelta):
            since = f"{{{{ dag_run.start_date - macros.timedelta(seconds={since.total_seconds()}) }}}}"
        elif isinstance(since, datetime):
            since = since.isoformat()
        return StartTriggerArgs(
            trigger_cls=f"{TogglEventTrigger.__module__}.{TogglEventTrigger.__qualname__}",
            trigger_kwargs={
                "toggl_conn_id": self.toggl_conn_id,
                "event_store_conn_id": self.event_store_conn_id,
                "event_filter": self._wanted(constant=True),
                "consumer": self.consumer,
                "since": since,
                "once": True,
                "end_from_trigger": self._ends_there(),
            },
            next_method="resume",
            timeout=timedelta(seconds=self.timeout),
        )


def _since(look_back: str | datetime | timedelta | None, context: Mapping[str, Any] | None) -> datetime:
    """Return from when on events count; the same for every try of a run, but for None."""
    if look_back is None:
        return _try_began(context)
    if isinstance(look_back, datetime):
        return look_back
    run = run_started(context)
    if isinstance(look_back, timedelta):
        return run - look_back
    start = (context or {}).get("data_interval_start")
    return start if isinstance(start, datetime) else run


def _try_began(context: Mapping[str, Any] | None) -> datetime:
    """Return when a try began, also one that was rescheduled since."""
    ti = (context or {}).get("ti")
    find_rescheduled = getattr(ti, "get_first_reschedule_date", None)
    for began in (find_rescheduled(context) if find_rescheduled else None, getattr(ti, "start_date", None)):
        if isinstance(began, datetime):
            return began
    return datetime.now(timezone.utc)
