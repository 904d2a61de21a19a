"""The table store in a dataset of BigQuery."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
from google.api_core.exceptions import NotFound
from google.cloud import bigquery
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY, DEFAULT_RETRY

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.bigquery import dialect, errors, statements, values
from airflow_provider_toggl.core.load.engines.table_store.contract import StoredState, TableChange, TableStore
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, StoredTable

_KEYS_AT_ONCE = 200_000
"""Keys of one query: as a parameter they take some 3 MB, and BigQuery takes requests of 10 MB."""
_STAGING_LIFE = timedelta(days=1)
_STAGED = [bigquery.SchemaField("part", "INT64"), bigquery.SchemaField("content", "STRING")]


@dataclass(frozen=True)
class BigQueryOptions:
    """How the store uses BigQuery.

    :param location: where the dataset is, and where it is created if it is missing; None for BigQuery's own choice.
    :param priority: ``INTERACTIVE`` or ``BATCH``.
    :param labels: labels of all jobs, and of a dataset that is created.
    :param retry_seconds: seconds for which a request is repeated while BigQuery does not answer.
    :param upload_retries: how often an upload is repeated.
    """

    location: str | None = None
    priority: str = "INTERACTIVE"
    labels: Mapping[str, str] = field(default_factory=dict)
    retry_seconds: float = 60.0
    upload_retries: int = 5


class BigQueryStore(TableStore):
    """Keeps the tables in a dataset.

    :param connect: returns a client with credentials; called by :meth:`open`.
    :param schema: the dataset.
    """

    name = "BigQuery"

    def __init__(
        self, connect: Callable[[], bigquery.Client], schema: str, options: BigQueryOptions | None = None
    ) -> None:
        super().__init__(schema, f"BigQuery dataset {schema!r}")
        if not schema.replace("_", "").isalnum() or not schema.isascii():
            raise ConfigurationError(
                f"schema {schema!r} cannot be a dataset of BigQuery: its name has only letters, digits and underscores."
            )
        self._connect = connect
        self._options = options or BigQueryOptions()
        self._client: bigquery.Client | None = None
        self._retry = DEFAULT_RETRY.with_timeout(self._options.retry_seconds)
        self._job_retry = DEFAULT_JOB_RETRY.with_timeout(self._options.retry_seconds)

    def open(self) -> None:
        """Make a client; BigQuery has no connections."""
        self._client = self._connect()
        self.where = f"BigQuery dataset {self._client.project}.{self.schema}"

    def close(self) -> None:
        """Close the client."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def exists(self) -> bool:
        """Return whether the last of our tables is there."""
        try:
            self.client.get_table(self._reference(statements.REVISION), **self._request)
        except NotFound:
            return False
        return True

    def create(self) -> None:
        """Create the dataset, tables, columns and views that are missing."""
        try:
            self.client.get_dataset(self._dataset, **self._request)
        except NotFound:
            self._create_dataset()
        columns = self._run(statements.read_columns(self._qualified)).to_arrow(create_bqstorage_client=False)
        stored: dict[str, list[str]] = {}
        for table, column in zip(*(columns[name].to_pylist() for name in columns.column_names), strict=True):
            stored.setdefault(table, []).append(column)
        self._run(statements.create_missing(self._qualified, stored))

    def read_state(self) -> StoredState:
        """Return the small tables and the revision by one query."""
        rows = self._run(statements.read_state(self._qualified)).to_arrow(create_bqstorage_client=False)
        texts: dict[str, list[str]] = {}
        for name, content in zip(rows["name"].to_pylist(), rows["content"].to_pylist(), strict=True):
            texts.setdefault(name, []).append(content)
        count = len(texts.get("", ()))
        if count != 1:
            raise WarehouseError(
                f"{self.where}: table {statements.REVISION!r} must have exactly one row, which numbers the commits, "
                f"and has {count}. Somebody changed it: put one row with any number into it."
            )
        tables = {name: values.decode_rows(table, texts.get(name, [])) for name, table in STATE_TABLES.items()}
        return StoredState(int(texts[""][0]), tables)

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        """Return the stored rows with these keys."""
        parts = [
            self._read_some(table, keys[begin : begin + _KEYS_AT_ONCE]) for begin in range(0, len(keys), _KEYS_AT_ONCE)
        ]
        return pa.concat_tables([values.arrow_schema(table).empty_table(), *parts])

    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        """Return all stored rows of a workspace, or of all workspaces."""
        parameters = [] if workspace_id is None else [_scalar("workspace_id", workspace_id)]
        return self._read(table, statements.read_workspace(self._qualified, table, workspace_id), parameters)

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        """Store changes: upload them into a table of their own, then apply it by one script with one transaction."""
        staging = self._upload(values.build_parts(changes))
        self._run(statements.commit(self._qualified, revision, changes, staging))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query; lists in our tables are JSON texts."""
        found = self._run(dialect.translate(sql), [_scalar(None, value) for value in parameters])
        return values.with_utc(found.to_arrow(create_bqstorage_client=False))

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of Google's libraries as one of this package, also of values that have another type."""
        if isinstance(error, pa.ArrowException):
            words = f"{self.where}: a column has another type than this package gave it"
            return WarehouseError(f"{words}. {errors.ALTERED}", fault=DatabaseFault.MISSING_OBJECT)
        return errors.translate(error, self.where)

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that BigQuery does not know."""
        try:
            self._run("select date(current_timestamp(), @zone)", [_scalar("zone", timezone)])
        except Exception as error:
            if "zone" not in str(error).lower():
                raise
            raise ConfigurationError(f"BigQuery knows no time zone {timezone!r}.") from None

    def read_clock(self) -> float:
        """Return BigQuery's time in seconds since the epoch."""
        client = self._connect()
        try:
            sql = "select unix_micros(current_timestamp())"
            found = client.query(sql, job_retry=None, **self._request).result(retry=self._retry)
            return float(next(iter(found))[0]) / 1e6
        finally:
            client.close()

    # Requests

    @property
    def client(self) -> bigquery.Client:
        """The open client."""
        if self._client is None:
            raise WarehouseError(f"{self.where} is not open.")
        return self._client

    @property
    def _dataset(self) -> bigquery.DatasetReference:
        return bigquery.DatasetReference(self.client.project, self.schema)

    @property
    def _qualified(self) -> str:
        return f"{self.client.project}.{self.schema}"

    @property
    def _request(self) -> dict[str, Any]:
        return {"retry": self._retry, "timeout": self._options.retry_seconds}

    def _reference(self, table: str) -> bigquery.TableReference:
        return self._dataset.table(table)

    def _create_dataset(self) -> None:
        dataset = bigquery.Dataset(self._dataset)
        if self._options.location:
            dataset.location = self._options.location
        dataset.labels = dict(self._options.labels)
        self.client.create_dataset(dataset, exists_ok=True, **self._request)

    def _run(self, sql: str, parameters: Sequence[bigquery.ScalarQueryParameter] = ()) -> Any:
        """Run a statement or a script as one job to its end, and return its rows."""
        config = bigquery.QueryJobConfig(
            default_dataset=self._dataset,
            query_parameters=list(parameters),
            priority=self._options.priority,
            labels=dict(self._options.labels),
            use_legacy_sql=False,
        )
        # Not with job_retry, which makes the client repeat the request by a limit of its own, of many minutes.
        job = self.client.query(sql, config, location=self._options.location, job_retry=None, **self._request)
        # A commit that is repeated after an error meets its own revision if the first one was stored.
        return job.result(retry=self._retry, job_retry=self._job_retry)

    def _read_some(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        kind = statements.key_type_of(table)
        found = keys.to_pylist()
        parameters = [
            _scalar("low", min(found)),
            _scalar("high", max(found)),
            _scalar("keys", values.encode_keys(keys)),
        ]
        return self._read(table, statements.read_rows(self._qualified, table, kind), parameters)

    def _read(self, table: StoredTable, sql: str, parameters: Sequence[bigquery.ScalarQueryParameter]) -> pa.Table:
        found = self._run(sql, parameters).to_arrow(create_bqstorage_client=False)
        return values.from_stored(table, found)

    def _upload(self, content: bytes) -> str:
        """Load a Parquet file into a table of its own, and return its name.

        The table is created first, because only so it has a time at which BigQuery deletes it if this process ends.
        """
        name = f"staging_{uuid.uuid4().hex}"
        staging = bigquery.Table(self._reference(name), _STAGED)
        staging.expires = datetime.now(timezone.utc) + _STAGING_LIFE
        self.client.create_table(staging, **self._request)
        job = self.client.load_table_from_file(
            io.BytesIO(content),
            staging.reference,
            num_retries=self._options.upload_retries,
            location=self._options.location,
            timeout=self._options.retry_seconds,
            job_config=bigquery.LoadJobConfig(
                source_format=bigquery.SourceFormat.PARQUET,
                write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
                schema=_STAGED,
                labels=dict(self._options.labels),
            ),
        )
        job.result(retry=self._retry)
        return name


def _scalar(name: str | None, value: Any) -> bigquery.ScalarQueryParameter:
    return bigquery.ScalarQueryParameter(name, values.parameter_type(value), value)
