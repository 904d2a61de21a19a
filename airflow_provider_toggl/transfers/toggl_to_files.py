"""Write a stream of Toggl to files in a file system or an object store: everything at first, then what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_provider_toggl.assets import toggl_files_asset
from airflow_provider_toggl.core.arguments import (
    Parser,
    parse_choice,
    parse_storage_url,
    parse_text,
    required,
)
from airflow_provider_toggl.hooks.files import open_storage
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.transfers.stream_arguments import StreamReadingTask

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_toggl.core.files.manifest import Unreported


class TogglToFilesOperator(StreamReadingTask):
    """Write one stream of a Toggl workspace to Parquet or JSON lines files, within the hourly quota.

    The first run reads the whole history, and each later run reads what changed since. Files are in
    ``{path}/{stream}/day=YYYY-MM-DD/``. A manifest publishes the files of a page, with its progress, in one step. So an
    interrupted run goes on with the next page, and no row of it is published twice. When the quota is used up, the task
    defers until it resets and holds no worker slot meanwhile.

    The asset event of the outlet ``toggl_files_asset(path, stream)`` has what was published. Without new files, there
    is no event.

    :param path: an absolute path of the worker, or a folder of an object store as an ``ObjectStoragePath`` or its URL:
        ``s3://``, ``gs://`` or ``abfs://``. The URL may name a connection: ``s3://conn_id@bucket/folder``. (templated)
    :param storage_conn_id: the connection of the object store, instead of the one in the URL. (templated)
    :param format: ``parquet``, with the columns of the warehouse's table, or ``jsonl``, with each record as Toggl
        sent it. (templated)
    """

    template_fields: Sequence[str] = (*StreamReadingTask.template_fields, "path", "storage_conn_id", "format")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **StreamReadingTask.argument_parsers,
        "path": required(parse_storage_url),
        "storage_conn_id": parse_text,
        "format": required(partial(parse_choice, options=("parquet", "jsonl"))),
    }

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        storage_conn_id: str | None = None,
        format: Literal["parquet", "jsonl"] = "parquet",  # noqa: A002 - what its values are called everywhere
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # As text, which Airflow can render and show.
        self.path: Any = parse_storage_url("path", path) if hasattr(path, "conn_id") else path
        self.storage_conn_id = storage_conn_id
        self.format = format
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Write pages until the stream is up to date; return the summary."""
        from airflow_provider_toggl.core.files.pull import FilePull, FileSummary  # noqa: PLC0415 - parsing a DAG needs none of it
        from airflow_provider_toggl.core.sync.pull import PullRequest  # noqa: PLC0415 - parsing a DAG needs none of it

        hook = TogglHook(self.toggl_conn_id)
        storage = open_storage(self.path, self.storage_conn_id)
        request = PullRequest(
            **self.stream_arguments(), **self.request_arguments(hook, progress), warehouse=storage.url
        )
        earlier = FileSummary(**progress["summary"]) if progress["summary"] else None
        session = hook.get_conn()
        run = FilePull(session, storage, request, self.format, summary=earlier)
        self.run_reading(run, session, progress)
        self._report(run.unreported, run.scope)
        self.end_run(request, run.summary)
        return run.summary.as_dict()

    def say(self, summary: dict[str, Any]) -> str:
        """Return a summary as one line of text."""
        from airflow_provider_toggl.core.files.pull import FileSummary  # noqa: PLC0415 - few tasks wait

        return str(FileSummary(**summary))

    def _report(self, unreported: Unreported, scope: str) -> None:
        """Fill in the asset event of the files, or remove the outlet where nothing was published."""
        uri = toggl_files_asset(self.path, self.stream).uri
        ours = [outlet for outlet in self.outlets or () if getattr(outlet, "uri", None) == uri]
        if not ours or "outlet_events" not in self.run_context:
            return
        if not unreported.rows:
            self.log.info("%s has no new files, so there is no asset event for it.", uri)
            self.outlets = [outlet for outlet in self.outlets if outlet not in ours]
            return
        event: Any = self.run_context["outlet_events"][ours[0]]
        event.extra.update(
            {
                "rows": unreported.rows,
                "days": [day.isoformat() for day in unreported.days],
                "is_complete": not unreported.has_more_days,
                "scope": scope,
                "after": unreported.after,
            }
        )
