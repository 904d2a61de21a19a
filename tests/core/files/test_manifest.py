from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.manifest import (
    DataFile,
    Manifest,
    Reported,
    Unreported,
    decode_manifest,
    encode_manifest,
    file_name,
    manifest_name,
    manifest_number,
    written_at,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
MANIFEST = Manifest(
    stream="tags",
    workspace_id=7,
    scope="7",
    number=3,
    id="a" * 32,
    format="parquet",
    observed_at=NOON,
    published_at=NOON,
    files=(DataFile("tags/day=2026-03-10/x.parquet", 2, 100, date(2026, 3, 10)),),
    rejected=(DataFile("tags/_rejected/x.jsonl", 1, 10),),
    watermark=None,
    cursor="{}",
    reported=Reported("attempt", Unreported(1, 2, (date(2026, 3, 9),))),
)


def test_a_manifest_is_what_was_encoded() -> None:
    assert decode_manifest(encode_manifest(MANIFEST), "3.json") == MANIFEST
    assert MANIFEST.rows == 2


def test_a_manifest_of_a_later_version_is_refused() -> None:
    data = encode_manifest(MANIFEST).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(errors.ConfigurationError, match="Upgrade the package"):
        decode_manifest(data, "3.json")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"version": 1}', b"\xff", b"[]"])
def test_what_is_no_manifest_is_an_error(data: bytes) -> None:
    with pytest.raises(errors.FileStorageError, match=r"3\.json is not a manifest"):
        decode_manifest(data, "3.json")


def test_manifests_have_their_number_and_scope_in_the_name() -> None:
    name = manifest_name("time_entries", "7/2026-01-01..2026-01-31", 12)
    assert name == "time_entries/_manifests/7_2026-01-01..2026-01-31/0000000012.json"
    assert manifest_number(name) == 12
    assert manifest_number(name + ".tmp") is None


def test_files_have_their_time_in_the_name() -> None:
    name = file_name("tags/day=2026-03-10", NOON, "0" * 32, "parquet")
    assert written_at(name) == NOON
    assert written_at("tags/day=2026-03-10/part-0.parquet") is None


def test_the_latest_days_are_kept() -> None:
    days = [date(2024, 1, 1) + timedelta(days=number) for number in range(400)]
    found = Unreported().plus(5, days[:200]).plus(6, days[100:])
    assert (found.rows, found.days, found.has_more_days) == (11, tuple(days[-366:]), True)
