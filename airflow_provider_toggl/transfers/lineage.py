"""What operators that load into a warehouse report to OpenLineage: what they read, and how much they write where.

Airflow's OpenLineage provider calls the methods by their names, in the process of the task, before and after it. It
does so with rendered templates, unless rendering them is what failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_toggl.core.arguments import Parser, parse_id
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.lineage import DatasetName, name_stream
from airflow_provider_toggl.core.load.tables.schemas import TABLES, VERSIONS
from airflow_provider_toggl.hooks.connections import get_toggl_fields
from airflow_provider_toggl.hooks.warehouse import name_tables, resolve_keep_history
from airflow_provider_toggl.templates import is_unresolved

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import OutputDataset
    from airflow.providers.openlineage.extractors import OperatorLineage

_SCHEMAS = {**TABLES, VERSIONS.name: VERSIONS}


class LoadLineage:
    """Mixin of operators that load streams into a warehouse. It precedes Airflow's class among the bases."""

    argument_parsers: ClassVar[Mapping[str, Parser]]
    warehouse_conn_id: str
    schema: str
    keep_history: bool | None
    log: Any

    def list_streams_written(self) -> Iterable[str]:
        """Return the streams into whose tables the task loads."""
        raise NotImplementedError

    def name_inputs(self) -> list[DatasetName]:
        """Return the names of what the task reads."""
        raise NotImplementedError

    def count_rows_written(self) -> Mapping[str, int]:
        """Return how many rows of each stream's table the run has written so far, as far as that is known."""
        raise NotImplementedError

    def get_openlineage_facets_on_start(self) -> OperatorLineage | None:
        """Return what the task is going to read and write."""
        return self._describe_lineage({})

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage | None:
        """Return what the task read and wrote, with the numbers of rows."""
        return self._describe_lineage(self.count_rows_written())

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage | None:
        """Return the same of a task that failed: what it loaded before stays in the warehouse."""
        return self._describe_lineage(self.count_rows_written())

    def parsed(self, name: str) -> Any:
        """Return an argument as the running task has it.

        :raises ConfigurationError: it is invalid, or its template was not rendered.
        """
        value = vars(self)[name]
        if is_unresolved(value):
            raise ConfigurationError(f"{name} is {value!r}, which was not rendered.")
        return self.argument_parsers[name](name, value)

    def resolve_workspace_id(self, name: str, toggl_conn_id: str) -> int | None:
        """Return the workspace of the task: an argument or, without one, that of its connection.

        :param name: the name of the argument.
        """
        workspace_id: int | None = parse_id(name, self.parsed(name))
        return get_toggl_fields(toggl_conn_id).workspace_id if workspace_id is None else workspace_id

    def _describe_lineage(self, written: Mapping[str, int]) -> OperatorLineage | None:
        """Return the lineage, as much of it as is known; None without Airflow's OpenLineage provider."""
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - of another provider
        except ImportError:
            return None
        return OperatorLineage(inputs=self._build_inputs(), outputs=self._build_outputs(written))

    def _build_inputs(self) -> list[Any]:
        from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - as above

        try:
            return [Dataset(*name) for name in self.name_inputs()]
        except ConfigurationError as error:
            self.log.info("OpenLineage gets no inputs of this task: %s", error)
            return []

    def _build_outputs(self, written: Mapping[str, int]) -> list[OutputDataset]:
        try:
            tables = list(self.list_streams_written())
            if "time_entries" in tables and resolve_keep_history(self.parsed("keep_history")):
                tables.append(VERSIONS.name)
            names = name_tables(self.parsed("warehouse_conn_id"), self.parsed("schema"), tables)
        except ConfigurationError as error:
            self.log.info("OpenLineage gets no outputs of this task: %s", error)
            return []
        return [_build_output(name, table, written.get(table)) for table, name in names.items()]


def _build_output(name: DatasetName, table: str, rows: int | None) -> OutputDataset:
    from airflow.providers.common.compat.openlineage import facet  # noqa: PLC0415 - of another provider

    fields = [facet.SchemaDatasetFacetFields(name=each.name, type=each.type) for each in _SCHEMAS[table].columns]
    output = facet.OutputDataset(*name, facets={"schema": facet.SchemaDatasetFacet(fields=fields)}, outputFacets={})
    if rows is not None and output.outputFacets is not None:
        output.outputFacets["outputStatistics"] = facet.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return output


def name_workspace_streams(workspace_id: int | None, *streams: str) -> list[DatasetName]:
    """Return the names of streams of a workspace, none if it is unknown."""
    return [] if workspace_id is None else [name_stream(workspace_id, stream) for stream in streams]
