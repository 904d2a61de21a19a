"""What the README claims in numbers, and what searching the documentation finds first."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.repository import ROOT, load_benchmark

from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.sandbox.server import SandboxProcess


def load_demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_number_of_requests_in_the_readme_is_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMO_ENTRIES", raising=False)
    demo, counts = load_demo(), load_benchmark("request_counts")
    with SandboxProcess(demo.sandbox_arguments()) as toggl:
        toggl.set(quota_enforced=False)
        monkeypatch.setattr(toggl, "reset_requests", lambda: None)
        host = counts._Host(toggl, tmp_path, None)
        for stream in STREAMS:
            host._load_one(stream)
        printed = demo.cost(toggl.requests())
    (promised,) = re.findall(r"requests for 10,000 time entries, here (\d+)", (ROOT / "README.md").read_text())
    assert re.fullmatch(rf"\d+ requests, {promised} of them for 10,000 time entries", printed)
    (compared,) = re.findall(
        r"Requests for 10,000 entries of a year \| (\d+);", (ROOT / "docs" / "comparison.md").read_text()
    )
    assert compared == promised


def test_the_first_pages_say_that_this_is_for_toggl_track_and_not_for_toggl_2() -> None:
    for page in ("README.md", "docs/index.md"):
        beginning = (ROOT / page).read_text()[:900]
        assert "It works with Toggl Track." in beginning
        assert "different API and is not supported" in beginning


@pytest.fixture(scope="module")
def search_index(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the search of the built documentation has."""
    pytest.importorskip("mkdocs")  # in the environment of the newest Airflow only
    site = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(site)]
    subprocess.run(build, cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, check=True, capture_output=True)
    return list(json.loads((site / "search" / "search_index.json").read_text())["docs"])


@pytest.mark.parametrize(
    "word", ["snowflake", "bigquery", "uninstall", "pytest", "expand", "rates", "approvals", "focus"]
)
def test_a_word_that_newcomers_search_for_leads_to_a_page(search_index: list[dict[str, str]], word: str) -> None:
    found = [one["location"] for one in search_index if word in (one["title"] + one["text"]).lower()]
    assert found, word


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("snowflake", "warehouses/"),
        ("bigquery", "warehouses/"),
        ("rates", "how-to/rates/"),
        ("uninstall", "how-to/uninstall/"),
    ],
)
def test_the_page_with_the_word_in_a_title_is_the_one_about_it(
    search_index: list[dict[str, str]], word: str, page: str
) -> None:
    # The search ranks titles above texts, and a boosted page above others.
    titled = [one["location"] for one in search_index if word in one["title"].lower()]
    assert any(location.startswith(page) for location in titled), titled
