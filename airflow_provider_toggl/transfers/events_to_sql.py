"""Load stored webhook events into a SQL database, without a request to Toggl."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_toggl.assets import ALL_EVENTS
from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_conn_id,
    parse_id,
    parse_store_conn_id,
    parse_text,
    parse_whole,
)
from airflow_provider_toggl.core.lineage import DatasetName
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY
from airflow_provider_toggl.hooks.connections import DEFAULT_TOGGL_CONN_ID, ConnectionNotFound, get_toggl_fields
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_warehouse, resolve_keep_history
from airflow_provider_toggl.links import TogglPageLink
from airflow_provider_toggl.templates import CheckedArguments
from airflow_provider_toggl.transfers.lineage import LoadLineage, name_workspace_streams
from airflow_provider_toggl.transfers.outlets import MAX_PARTITIONS, WAREHOUSE_PARSERS, Outlets, check_outlets

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_toggl.core.sync.drain import DrainRequest


class TogglEventsToSqlOperator(LoadLineage, CheckedArguments, BaseOperator):
    """Load the stored events that are not loaded yet, of all streams that have events.

    Rows are merged with those that :class:`~airflow_provider_toggl.transfers.toggl_to_sql.TogglToSqlOperator` loads
    into the same tables, in any order. Each batch is loaded in one transaction with its cursor, so an interrupted run
    goes on after it. Loading an event again changes nothing. Retention keeps events that are not loaded yet.

    The asset event of an outlet ``toggl://{workspace_id}/{stream}`` has what changed in its extra, and that of
    ``toggl://{workspace_id}/days`` has each changed day as a partition. Without a change, there is no event.

    :param toggl_conn_id: the Toggl connection whose event store is read. (templated)
    :param event_store_conn_id: the event store, if it is not that of the Toggl connection. (templated)
    :param warehouse_conn_id: the connection of the warehouse. (templated)
    :param schema: schema of the tables. (templated)
    :param facts_timezone: time zone of the local dates in the view ``time_entry_facts``; UTC until one is set.
        (templated)
    :param keep_history: True keeps each version of a time entry from now on, for the view ``time_entry_changes``; False
        stops that. It holds for all tasks that load into this warehouse. By default it is ``[toggl] keep_history``, or
        stays as it is. (templated)
    :param only_conn_id: only events of this connection, in a store that several connections share. (templated)
    :param only_workspace_id: only events of this workspace. (templated)
    :param max_events: read at most this many events; the next run goes on. (templated)
    :param consumer: name of this consumer in the store, whose unloaded events retention keeps; by default
        ``warehouse_conn_id.schema``. (templated)
    :param max_partitions: the most changed days that one run adds to an outlet ``toggl://{workspace_id}/days``; the
        next runs add the others. (templated)
    """

    template_fields: Sequence[str] = (
        "toggl_conn_id",
        "event_store_conn_id",
        "warehouse_conn_id",
        "schema",
        "facts_timezone",
        "keep_history",
        "only_conn_id",
        "only_workspace_id",
        "max_events",
        "consumer",
        "max_partitions",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **WAREHOUSE_PARSERS,
        "toggl_conn_id": parse_conn_id,
        "event_store_conn_id": parse_store_conn_id,
        "only_conn_id": parse_text,
        "only_workspace_id": parse_id,
        "max_events": partial(parse_whole, minimum=1),
        "consumer": parse_text,
    }
    limiting_arguments = frozenset({"only_conn_id", "only_workspace_id"})
    operator_extra_links = (TogglPageLink(),)
    ui_color = "#f5e1f0"
    #: How many rows of each stream's table the run has written; None before it begins.
    _written: Counter[str] | None = None

    def __init__(
        self,
        *,
        toggl_conn_id: str = DEFAULT_TOGGL_CONN_ID,
        event_store_conn_id: str | None = None,
        warehouse_conn_id: str = DEFAULT_CONN_ID,
        schema: str = "toggl",
        facts_timezone: str | None = None,
        keep_history: bool | None = None,
        only_conn_id: str | None = None,
        only_workspace_id: int | str | None = None,
        max_events: int | None = None,
        consumer: str | None = None,
        max_partitions: int = MAX_PARTITIONS,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toggl_conn_id = toggl_conn_id
        self.event_store_conn_id = event_store_conn_id
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema
        self.facts_timezone = facts_timezone
        self.keep_history = keep_history
        self.only_conn_id = only_conn_id
        self.only_workspace_id: Any = only_workspace_id
        self.max_events = max_events
        self.consumer = consumer
        self.max_partitions = max_partitions
        self.check_arguments()
        check_outlets(self, "only_workspace_id", only_workspace_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the events that are stored when it begins; return the summary."""
        from airflow_provider_toggl.core.sync.drain import Drain  # noqa: PLC0415 - parsing a DAG needs none of it

        self.parse_arguments()
        outlets = Outlets(self, context or {}, self.max_partitions)
        if outlets:
            self._check_outlets(outlets)
        with (
            open_event_store(self.toggl_conn_id, event_store_conn_id=self.event_store_conn_id or None) as store,
            open_warehouse(
                self.warehouse_conn_id,
                schema=self.schema,
                facts_timezone=self.facts_timezone,
                keep_history=resolve_keep_history(self.keep_history),
            ) as target,
        ):
            drain = Drain(store, target, self._request(collect_changes=bool(outlets)))
            self._written = drain.written
            outlets.begin(target, drain.changes)
            summary = drain.run()
            outlets.report(target, drain.changes)
        return summary.as_dict()

    def list_streams_written(self) -> list[str]:
        """Return the streams that have events."""
        return list(STREAM_BY_ENTITY.values())

    def name_inputs(self) -> list[DatasetName]:
        """Return the name of the workspace's events, if only those of one workspace are loaded as far as is known."""
        conn_id = self.parsed("only_conn_id") or self.parsed("toggl_conn_id")
        return name_workspace_streams(self.resolve_workspace_id("only_workspace_id", conn_id), ALL_EVENTS)

    def count_rows_written(self) -> Mapping[str, int]:
        """Return how many rows of each stream's table the run has added or changed."""
        return {} if self._written is None else {name: self._written[name] for name in self.list_streams_written()}

    def _check_outlets(self, outlets: Outlets) -> None:
        """Refuse outlets of a workspace whose events are not loaded, as far as that is known beforehand."""
        if self.only_workspace_id:
            outlets.check_workspace(self.only_workspace_id, "only_workspace_id")
            return
        conn_id = self.only_conn_id or self.toggl_conn_id
        try:
            workspace_id = get_toggl_fields(conn_id).workspace_id
        except ConnectionNotFound:
            # The event store may be named by itself.
            return
        if workspace_id is not None:
            outlets.check_workspace(workspace_id, f"of connection {conn_id!r}", is_shared=not self.only_conn_id)

    def _request(self, *, collect_changes: bool) -> DrainRequest:
        from airflow_provider_toggl.core.sync.drain import DrainRequest  # noqa: PLC0415 - parsing a DAG needs none of it

        return DrainRequest(
            store=self.event_store_conn_id or resolve_store_conn_id(self.toggl_conn_id) or "default",
            consumer=self.consumer or f"{self.warehouse_conn_id}.{self.schema}",
            conn_id=self.only_conn_id,
            workspace_id=self.only_workspace_id,
            max_events=self.max_events,
            collect_changes=collect_changes,
        )
