from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from core.files.test_writer import build, load, page

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.storage import LocalStorage
from airflow_provider_toggl.hooks.files import list_files, open_storage, read_files, remove_unpublished_files

pytestmark = pytest.mark.airflow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a space in its name, and two published tags."""
    folder = tmp_path / "the files"
    load(build(folder), page(1, 2))
    return folder


@pytest.mark.parametrize("kind", ["path", "text", "url"])
def test_a_folder_of_this_host_may_be_given_in_several_ways(folder: Path, kind: str) -> None:
    given = {"path": folder, "text": f" {folder}/ ", "url": folder.as_uri()}[kind]
    assert isinstance(open_storage(given), LocalStorage)
    assert read_files(given, " tags ", workspace_id="7")["id"].to_pylist() == [1, 2]


def test_files_are_listed_as_urls(folder: Path) -> None:
    (url,) = list_files(folder, "tags")
    assert url.startswith(f"{folder.as_uri()}/tags/day=2026-03-10/")
    assert list_files(folder, "tags", after=1) == []


def test_a_short_age_is_refused(folder: Path) -> None:
    assert remove_unpublished_files(folder, "tags", older_than=timedelta(hours=3)) == []
    with pytest.raises(errors.ConfigurationError, match="older_than"):
        remove_unpublished_files(folder, "tags", older_than=60)
