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
from airflow_provider_toggl.hooks.connections import DEFAULT_TOGGL_CONN_ID
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.links import TogglPageLink
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
"""Airflow 3.3 and later: the triggerer renders the templates of a task that starts there."""


class TogglEventSensor(CheckedArguments, BaseSensorOperator):
    """Wait for an event of Toggl that matches, including events that came before the sensor started.

    The sensor searches the event store first. Only without a match does it wait in the triggerer, where all waiting
    sensors share one reader. Every try starts at the same event, so a retry misses nothing. The result is the first
    match: ``seq``, ``event_id`` (text), ``entity``, ``action``, ``entity_id``, ``workspace_id``, ``created_at``,
    ``received_at`` (RFC 3339), ``count`` (how many events matched when it was found) and ``last_seq`` (the last of
    them).

    :param entity: ``time_entry``, ``project``, ...; one or several. (templated)
    :param action: ``created``, ``updated`` or ``deleted``; one or several. (templated)
    :param workspace_id, project_id, user_id, client_id, tag_id: what changed, or what it belongs to; one or several
        ids, by default any. (templated)
    :param where: conditions on the payload, such as ``{"billable": True, "duration": {"gte": 3600}}``. (templated)
    :param transition: what the event must have changed, compared with the earlier version of the same entity:
        ``started``, ``stopped``, ``logged``, ``moved``, ``became_billable``, ``became_non_billable``, ``renamed``,
        ``deleted`` or ``restored``; one or several. The result then has ``transitions``. (templated)
    :param from_project_id, to_project_id: the project that an entry or task was moved from, or to; one or several ids.
        Either implies the transition ``moved``. (templated)
    :param unknown_previous: what matches if the store has no earlier version of the entity. ``"ignore"``: nothing;
        ``"match"``: every transition that could have led to the event.
    :param look_back: the earliest time of matching events, by Toggl's clock. ``"data_interval"``: the start of the
        run's data interval, or of the run if it has none. A ``timedelta``: so long before the start of the run. A
        ``datetime`` or RFC 3339 text: that time. None: the start of the try, so that a retry does not see events from
        before it. (templated)
    :param consumer: start after what this consumer has committed. Until it has committed something, ``look_back``
        applies. (templated)
    :param toggl_conn_id: the connection whose extra names the event store. (templated)
    :param event_store_conn_id: the event store's connection, if it is another. (templated)
    :param deferrable: False: wait on a worker (``mode="poke"``), or return to one (``mode="reschedule"``).
    :param start_from_trigger: start in the triggerer, without a worker. Needs Airflow 3.3 and a ``look_back``;
        otherwise the task starts on a worker.
    :param end_from_trigger: end in the triggerer as well. None: if no plugin listens to task events, which only
        workers send. A task with outlets always ends on a worker, because only there its outlets get asset events.
    :param poke_interval: seconds between two searches if the sensor is not deferrable.
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
    operator_extra_links = (TogglPageLink(),)
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
        toggl_conn_id: str = DEFAULT_TOGGL_CONN_ID,
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
        values = self._filter_arguments().items()
        EventFilter.from_dict({name: value for name, value in values if not (is_unresolved(value) or callable(value))})
        # Before Airflow 3.3 the triggerer renders no templates, and the start of the search is one. Without a look-back
        # only a worker can find the start, which must be the same after each restart of the triggerer. References
        # (XComArgs) need a worker too: the arguments of a task that starts in the triggerer are stored with the DAG.
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
        """Search the store, and defer if there is no match yet; return the first match."""
        self.parse_arguments()
        if not self.deferrable:
            return super().execute(context)
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="wait", consumer=self.consumer):
            try:
                if result := self._search(context):
                    return result
            except EventStoreUnavailable as error:
                self.log.warning("The triggerer will search the event store once it is available: %s", error)
            with fields(seq=self._reached):
                self.log.info("No match yet; waiting in the triggerer for an event after %s.", self._reached)
        self.defer(
            trigger=TogglEventTrigger(
                toggl_conn_id=self.toggl_conn_id,
                event_store_conn_id=self._store_conn_id(),
                event_filter=self._query.event_filter,
                since=self._query.since,
                after=self._reached,
                consumer=self.consumer,
                once=True,
                end_from_trigger=self._ends_in_triggerer(),
            ),
            method_name="resume",
            timeout=timedelta(seconds=self.timeout),
        )
        raise ConfigurationError("The task could not be deferred.")

    def poke(self, context: Context) -> PokeReturnValue:
        """Search the events since the last call."""
        result = self._search(context)
        return PokeReturnValue(is_done=result is not None, xcom_value=result)

    def resume(self, context: Context, event: Any = None) -> dict[str, Any]:
        """Return what the trigger found.

        ``dag.test()`` also resumes a task that ended in the triggerer, without its result, so the store is searched.
        """
        result = event if isinstance(event, dict) else self._search(context)
        if result is None:
            raise EventNotFound("The trigger fired, but its event is no longer in the event store.")
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a wait. If it timed out or failed, search once more before the task fails."""
        if next_method == "__fail__" and (result := self._search(context)):
            return result
        return super().resume_execution(next_method, next_kwargs, context)

    def _search(self, context: Context) -> dict[str, Any] | None:
        """Return the first match among the events that were not searched yet."""
        if self._reached is None:
            self.parse_arguments()
            self._query = EventQuery(EventFilter.from_dict(self._filter_arguments()), _since(self.look_back, context))
        with open_event_store(self.toggl_conn_id, event_store_conn_id=self.event_store_conn_id) as store:
            if self._reached is None:
                self._query, self._reached = self._query.resolve_start(store, self.consumer)
            found, self._reached = search(store, self._query, self._reached)
        return found.as_dict() if found else None

    def _filter_arguments(self, *, parsed: bool = False) -> dict[str, Any]:
        """Return the filter as plain data.

        :param parsed: parse the arguments that are not templates, so that JSON can hold them.
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
        values = {one: self._parse(name) if parsed else getattr(self, name) for one, name in names.items()}
        return {name: value for name, value in values.items() if value is not None}

    def _parse(self, name: str) -> Any:
        """Return a parsed argument, or the argument itself if Airflow must still render it."""
        value = getattr(self, name)
        return value if is_unresolved(value) else self.argument_parsers[name](name, value)

    def _store_conn_id(self) -> str:
        """Return the event store's connection, so that the triggerer need not read the API token's connection."""
        return (
            resolve_store_conn_id(self.toggl_conn_id) if self.event_store_conn_id is None else self.event_store_conn_id
        )

    def _ends_in_triggerer(self) -> bool:
        if self.outlets or not self.do_xcom_push:
            return False
        if self.end_from_trigger is None:
            from airflow.sdk.listener import get_listener_manager  # noqa: PLC0415 - loads all plugins

            return not get_listener_manager().has_listeners
        return self.end_from_trigger

    def _start_args(self) -> StartTriggerArgs:
        """Return the trigger's arguments for a task that starts in the triggerer, which renders their templates."""
        since: Any = self._parse("look_back")
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
                "event_filter": self._filter_arguments(parsed=True),
                "consumer": self.consumer,
                "since": since,
                "once": True,
                "end_from_trigger": self._ends_in_triggerer(),
            },
            next_method="resume",
            timeout=timedelta(seconds=self.timeout),
        )


def _since(look_back: str | datetime | timedelta | None, context: Mapping[str, Any] | None) -> datetime:
    """Return the earliest time of matching events; the same for every try of a run, except for None."""
    if look_back is None:
        return _find_start_of_try(context)
    if isinstance(look_back, datetime):
        return look_back
    run = run_started(context)
    if isinstance(look_back, timedelta):
        return run - look_back
    start = (context or {}).get("data_interval_start")
    return start if isinstance(start, datetime) else run


def _find_start_of_try(context: Mapping[str, Any] | None) -> datetime:
    ti = (context or {}).get("ti")
    find_rescheduled = getattr(ti, "get_first_reschedule_date", None)
    for began in (find_rescheduled(context) if find_rescheduled else None, getattr(ti, "start_date", None)):
        if isinstance(began, datetime):
            return began
    return datetime.now(timezone.utc)
