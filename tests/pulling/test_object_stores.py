"""Files in object stores, by the libraries that Airflow uses for them, in emulators.

No emulator proves what a real store does under load. What is asked of a store is only that an object appears as a
whole, that it is created only if it does not exist, and that a listing has what was created before.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.connections import Connections, all_logs
from support.files import Died, DyingStorage, pull_files, wrong_files
from support.pulls import Workspace
from support.servers.object_stores import S3_KEY, S3_SECRET, STORES, refusing_s3, running_moto, running_store

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.reading import list_manifests
from airflow_provider_toggl.core.files.storage import ObjectStorage
from airflow_provider_toggl.hooks.files import list_files, read_files
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.toggl_to_files import TogglToFilesOperator

pytestmark = [pytest.mark.soak, pytest.mark.clouds]


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStorage]:
    """A folder in an emulated object store."""
    with running_store(request.param, tmp_path) as (filesystem, bucket):
        yield ObjectStorage(filesystem, f"{bucket}/folder", f"{request.param}://{bucket}/folder")


def skip_overwriting(storage: ObjectStorage) -> None:
    """Skip a test that needs a store which refuses to overwrite."""
    if storage.url.startswith("gcs:"):
        pytest.skip("gcp-storage-emulator ignores ifGenerationMatch")


def test_files_are_written_listed_and_deleted(storage: ObjectStorage) -> None:
    assert storage.list_names("tags") == []
    storage.write("tags/one.json", b"first")
    assert storage.read("tags/one.json") == b"first"
    storage.write("tags/day=2026-01-01/data", b"")
    assert storage.list_names("tags") == ["tags/day=2026-01-01/data", "tags/one.json"]
    storage.delete(["tags/one.json", "tags/nothing"])
    assert storage.list_names("tags") == ["tags/day=2026-01-01/data"]


def test_google_is_asked_to_create_and_not_to_overwrite(tmp_path: Path) -> None:
    with running_store("gcs", tmp_path) as (filesystem, bucket):
        sent: list[Any] = []
        call = filesystem._call

        async def record(*args: Any, **options: Any) -> Any:
            sent.append(options.get("ifGenerationMatch"))
            return await call(*args, **options)

        filesystem._call = record
        assert ObjectStorage(filesystem, bucket, f"gcs://{bucket}").create("one.json", b"first")
        assert "0" in sent


def test_an_object_is_created_once_and_stays_as_it_was(storage: ObjectStorage) -> None:
    skip_overwriting(storage)
    assert storage.create("tags/one.json", b"first")
    assert storage.create("tags/one.json", b"first"), "the response to the first request may have been lost"
    assert not storage.create("tags/one.json", b"second")
    assert storage.read("tags/one.json") == b"first"


def test_of_eight_tasks_at_once_one_creates_an_object(storage: ObjectStorage) -> None:
    skip_overwriting(storage)
    with ThreadPoolExecutor(8) as threads:
        for number in range(5):
            won = list(threads.map(lambda one: storage.create(f"x/{number}.json", bytes([one])), range(8)))  # noqa: B023
            assert won.count(True) == 1
            assert storage.read(f"x/{number}.json") == bytes([won.index(True)])


def test_what_is_published_is_the_truth_after_a_process_died(
    build: Callable[..., Workspace], storage: ObjectStorage
) -> None:
    workspace = build(days=5)
    options: dict[str, Any] = {"page_size": 50, "run_started": workspace.now(), "attempt_key": "attempt"}
    with pytest.raises(Died):
        pull_files(workspace, DyingStorage(storage, ("create", 2), Died()), **options)
    pull_files(workspace, storage, **options, try_number=2)
    assert wrong_files(workspace, storage, "time_entries") == []
    assert sum(one.rows for one in list_manifests(storage, "time_entries")) == 240


# -- the operator, on S3 -----------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(connections: Connections, sandbox: RunningSandbox) -> Iterator[str]:
    """The URL of a folder with a connection of its own: Airflow keeps file systems by connection."""
    pytest.importorskip("airflow.providers.amazon", reason="apache-airflow-providers-amazon is not installed")
    boto3 = pytest.importorskip("boto3")
    connections.toggl(sandbox)
    with running_moto() as url:
        access = {"endpoint_url": url, "region_name": "eu-central-1"}
        client = boto3.client("s3", aws_access_key_id=S3_KEY, aws_secret_access_key=S3_SECRET, **access)
        # The buckets of moto are those of the process.
        bucket = f"b{uuid.uuid4().hex}"
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        conn_id = f"storage_{bucket}"
        connections.set(conn_id, conn_type="aws", login=S3_KEY, password=S3_SECRET, extra=access)
        yield f"s3://{conn_id}@{bucket}/raw"


def test_a_task_writes_to_a_bucket_and_no_secret_is_logged(sandbox: RunningSandbox, bucket: str) -> None:
    with all_logs() as lines:
        summary = TogglToFilesOperator(task_id="write", path=bucket, stream="time_entries").execute(
            {"dag_run": SimpleNamespace(start_date=None)}  # type: ignore[typeddict-item]
        )
    assert summary["written"] == 120
    assert {url.split("/time_entries/")[0] for url in list_files(bucket, "time_entries")} == {
        f"s3://{bucket.split('@')[1]}"
    }
    found = read_files(bucket, "time_entries")
    assert sorted(found["id"].to_pylist()) == sorted(
        row["id"] for row in sandbox.truth("time_entries") if not row["deleted_at"]
    )
    ours = [line for line in lines if line.startswith("airflow_provider_toggl")]
    assert ours
    assert [line for line in ours if S3_SECRET in line or sandbox.token in line] == []


def test_refused_credentials_are_a_configuration_error_that_shows_none(
    connections: Connections, sandbox: RunningSandbox
) -> None:
    pytest.importorskip("airflow.providers.amazon", reason="apache-airflow-providers-amazon is not installed")
    connections.toggl(sandbox)
    with refusing_s3() as url:
        access = {"endpoint_url": url, "region_name": "eu-central-1"}
        connections.set("refused", conn_type="aws", login=S3_KEY, password=S3_SECRET, extra=access)
        with pytest.raises(
            errors.ConfigurationError, match="Check the credentials of the storage connection"
        ) as caught:
            TogglToFilesOperator(task_id="write", path="s3://refused@bucket/raw", stream="tags").execute({})
    assert S3_SECRET not in str(caught.value)
    assert S3_KEY not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_a_configuration_error(sandbox: RunningSandbox, bucket: str) -> None:
    path = bucket.replace("@b", "@another-")
    with pytest.raises(errors.ConfigurationError, match="Check that the bucket or container exists"):
        TogglToFilesOperator(task_id="write", path=path, stream="tags").execute({})
