"""Commit a consumer of the event store after its work is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_conn_id,
    parse_store_conn_id,
    parse_text,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.events.activity_log import reader_key
from airflow_provider_toggl.core.events.store import EventStore, measure_store
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.hooks.connections import DEFAULT_TOGGL_CONN_ID
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.links import TogglPageLink
from airflow_provider_toggl.templates import CheckedArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class TogglCommitEventsOperator(CheckedArguments, BaseOperator):
    """Record in the event store that a consumer has processed all events up to one.

    The next sensor with this ``consumer`` starts after it. A commit never moves a consumer back, so running the task
    again changes nothing. Events that a consumer has not committed are not pruned.

    :param consumer: its name. (templated)
    :param seq: the last event that was processed, for example ``{{ ti.xcom_pull("wait")["seq"] }}``. (templated)
    :param toggl_conn_id: the connection whose extra names the event store. (templated)
    :param event_store_conn_id: the event store's connection, if it is another. (templated)
    """

    template_fields: Sequence[str] = ("consumer", "seq", "toggl_conn_id", "event_store_conn_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        "consumer": required(parse_text),
        "seq": required(partial(parse_whole, minimum=0)),
        "toggl_conn_id": parse_conn_id,
        "event_store_conn_id": parse_store_conn_id,
    }
    operator_extra_links = (TogglPageLink(),)
    ui_color = "#f5e1f0"

    def __init__(
        self,
        *,
        consumer: str,
        seq: int | str,
        toggl_conn_id: str = DEFAULT_TOGGL_CONN_ID,
        event_store_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.consumer = consumer
        self.seq: Any = seq
        self.toggl_conn_id = toggl_conn_id
        self.event_store_conn_id = event_store_conn_id
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Commit, and return the consumer and its ``seq``."""
        self.parse_arguments()
        store_conn_id = self.event_store_conn_id
        if store_conn_id is None:
            store_conn_id = resolve_store_conn_id(self.toggl_conn_id)
        with open_event_store(event_store_conn_id=store_conn_id) as store:
            consumer = store.commit(self.consumer, self.seq)
            self._record_reader(store)
            measure_store(store, store_conn_id)
        with fields(connection=self.toggl_conn_id, by="commit", consumer=consumer.name, seq=consumer.seq):
            self.log.info("Consumer %s has committed event %s.", consumer.name, consumer.seq)
        return {"consumer": consumer.name, "seq": consumer.seq}

    def _record_reader(self, store: EventStore) -> None:
        """Record which connection the consumer belongs to, unless a watcher of that name has recorded more."""
        name = reader_key(self.consumer)
        if all(note.name != name for note in store.activity_log.list_status(name)):
            store.activity_log.set_status(name, {"kind": "consumer", "conn_id": self.toggl_conn_id})
