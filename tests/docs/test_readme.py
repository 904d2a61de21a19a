"""What the README claims in numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.repository import ROOT, load_benchmark, load_program

from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.sandbox.server import SandboxProcess


def test_the_number_of_requests_in_the_readme_is_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMO_ENTRIES", raising=False)
    demo, counts = load_program(ROOT / "scripts" / "demo.py"), load_benchmark("request_counts")
    with SandboxProcess(demo.sandbox_arguments()) as toggl:
        toggl.set(quota_enforced=False)
        monkeypatch.setattr(toggl, "reset_requests", lambda: None)
        host = counts._Host(toggl, tmp_path, None)
        for stream in STREAMS:
            host._load_one(stream)
        printed = demo.cost(toggl.requests())
    (promised,) = re.findall(r"requests for 10,000 time entries, here (\d+)", (ROOT / "README.md").read_text())
    found = re.fullmatch(r"\d+ requests, (\d+) of them for 10,000 time entries", printed)
    assert found
    # One less while the day of the token's owner is ahead of the one in UTC.
    assert int(promised) - 1 <= int(found[1]) <= int(promised)
    (compared,) = re.findall(
        r"Requests for 10,000 entries of a year \| (\d+);", (ROOT / "docs" / "comparison.md").read_text()
    )
    assert compared == promised


def test_the_first_pages_say_that_this_is_for_toggl_track_and_not_for_toggl_2() -> None:
    for page in ("README.md", "docs/index.md"):
        beginning = (ROOT / page).read_text()[:900]
        assert "It works with Toggl Track." in beginning
        assert "different API and is not supported" in beginning
