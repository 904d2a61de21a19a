"""Operators that keep Iceberg tables small and fast, and copy the view of facts into a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_conn_id,
    parse_flag,
    parse_number,
    parse_text,
    required,
)
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.hooks.iceberg import open_iceberg
from airflow_provider_toggl.templates import CheckedArguments

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

_parse_hours: Parser = required(partial(parse_number, minimum=1))


class _IcebergOperator(CheckedArguments, BaseOperator):
    """Works on the tables of a connection of type ``iceberg``.

    :param warehouse_conn_id: the connection. (templated)
    :param schema: the namespace of the tables. (templated)
    """

    template_fields: Sequence[str] = ("warehouse_conn_id", "schema")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        "warehouse_conn_id": parse_conn_id,
        "schema": required(parse_text),
    }
    ui_color = "#f5e1f0"

    def __init__(self, *, warehouse_conn_id: str, schema: str = "toggl", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.warehouse_conn_id = warehouse_conn_id
        self.schema = schema


class TogglIcebergMaintenanceOperator(_IcebergOperator):
    """Replace small files by larger ones, expire old snapshots, and delete files that nothing refers to.

    Each load adds files and snapshots, so a warehouse that is loaded every few seconds needs this once an hour, and any
    other once a day. Loads may run at the same time.

    :param warehouse_conn_id: the connection. (templated)
    :param schema: the namespace of the tables. (templated)
    :param keep_snapshots_hours: age in hours from which snapshots that are not current are removed; at least 1.
        (templated)
    :param keep_orphans_hours: age in hours from which files that nothing refers to are deleted; at least 1, and longer
        than a load can take. (templated)
    :param delete_orphans: False only counts these files. (templated)
    """

    template_fields: Sequence[str] = (
        *_IcebergOperator.template_fields,
        "keep_snapshots_hours",
        "keep_orphans_hours",
        "delete_orphans",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_IcebergOperator.argument_parsers,
        "keep_snapshots_hours": _parse_hours,
        "keep_orphans_hours": _parse_hours,
        "delete_orphans": required(parse_flag),
    }

    def __init__(
        self,
        *,
        keep_snapshots_hours: float = 24,
        keep_orphans_hours: float = 72,
        delete_orphans: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.keep_snapshots_hours = keep_snapshots_hours
        self.keep_orphans_hours = keep_orphans_hours
        self.delete_orphans = delete_orphans
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, int]:
        """Maintain all tables; return how many files and snapshots that concerned."""
        self.parse_arguments()
        with open_iceberg(self.warehouse_conn_id, self.schema) as store:
            # Parsing a DAG needs none of it: it loads pyiceberg.
            from airflow_provider_toggl.core.load.engines.iceberg.maintenance import maintain  # noqa: PLC0415 - see above

            summary = maintain(
                store,
                utc(SystemClock().now()),
                keep_snapshots=timedelta(hours=self.keep_snapshots_hours),
                keep_orphans=timedelta(hours=self.keep_orphans_hours),
                delete_orphans=self.delete_orphans,
            ).as_dict()
        self.log.info(
            "Rewritten: %s, as %d. Expired: %s. Nothing refers to %s of %s, %s.",
            plural(summary["rewritten_files"], "small file"),
            summary["written_files"],
            plural(summary["expired_snapshots"], "snapshot"),
            plural(summary["orphan_files"], "file"),
            plural(summary["orphan_bytes"], "byte"),
            "deleted" if self.delete_orphans else "only counted",
        )
        return summary


class TogglIcebergFactsOperator(_IcebergOperator):
    """Keep a table ``time_entry_facts`` that equals the view of that name, for engines that read the files themselves.

    Iceberg's views are not portable, so other engines do not see those of this package. Only months with changed days
    are written again; all are, if the time zone or a name of a project, client, task, tag or user has changed.

    :param warehouse_conn_id: the connection. (templated)
    :param schema: the namespace of the tables. (templated)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def execute(self, context: Context) -> dict[str, int]:
        """Refresh the table; return the number of months and of rows that were written."""
        self.parse_arguments()
        with open_iceberg(self.warehouse_conn_id, self.schema) as store:
            # Parsing a DAG needs none of it: it loads pyiceberg.
            from airflow_provider_toggl.core.load.engines.iceberg.facts import refresh  # noqa: PLC0415 - see above

            result = refresh(store)
        self.log.info("Written: %s with %s.", plural(result["months"], "month"), plural(result["rows"], "row"))
        return result
