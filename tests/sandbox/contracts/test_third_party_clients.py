from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.repository import ROOT

from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox

# An interpreter that has the clients: they need an httpx older than this project's other tests may have.
PYTHON = os.environ.get("TOGGL_CLIENTS_PYTHON", sys.executable)
SCRIPT = ROOT / "tests" / "support" / "third_party_clients.py"
MODULES = {"toggl-python": "toggl_python", "toggl-api-wrapper": "toggl_api"}


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox of now, for these clients look at the real clock."""
    with start_sandbox(entries=400, days=60) as running:
        # One of them pages by id and row number without a timestamp.
        running.set(quota_enforced=False, first_id_needs_timestamp=False)
        yield running


def has(module: str) -> bool:
    if sys.executable == PYTHON:
        return importlib.util.find_spec(module) is not None
    return subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def read_with(name: str, sandbox: RunningSandbox, folder: Path) -> dict[str, Any]:
    if not has(MODULES[name]):
        pytest.skip(f"{name} is not there: install it, or name a Python that has it in TOGGL_CLIENTS_PYTHON")
    command = [PYTHON, str(SCRIPT), name, sandbox.url, sandbox.token, str(sandbox.workspace_id)]
    clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=clean)
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return shown


def live(things: dict[int, Any]) -> set[int]:
    return {one.id for one in things.values() if one.deleted_at is None}


def test_toggl_python_reads_the_sandbox_through(sandbox: RunningSandbox, tmp_path: Path) -> None:
    seen = read_with("toggl-python", sandbox, tmp_path)
    world = sandbox.world
    own = {one.id: one for one in world.time_entries.values() if one.user_id == world.owner.id}
    running = world.running_entry(world.owner.id)
    assert (seen["me"], seen["email"]) == (world.owner.id, world.owner.email)
    assert (seen["workspaces"], seen["workspace"]) == ([world.workspace.id], world.workspace.name)
    assert set(seen["projects"]) == live(world.projects)
    assert set(seen["my_projects"]) == {one for one in live(world.projects) if world.projects[one].active}
    assert len(seen["paginated_projects"]) == 5
    assert {int(id_) for id_ in seen["entries"]} == set(own)
    assert all(duration == own[int(id_)].duration for id_, duration in seen["entries"].items())
    assert seen["current"] == (None if running is None else running.id)
    assert seen["created_read_back"] == own[seen["created"]].description == "made by toggl-python"


def test_toggl_api_wrapper_reads_the_sandbox_through(sandbox: RunningSandbox, tmp_path: Path) -> None:
    seen = read_with("toggl-api-wrapper", sandbox, tmp_path)
    world = sandbox.world
    own = {one.id for one in world.time_entries.values() if one.user_id == world.owner.id}
    clients = {one for one in live(world.clients) if not world.clients[one].archived}
    assert seen["me"] == world.owner.id
    assert (seen["workspaces"], seen["organizations"]) == ([world.workspace.id], [world.organization.id])
    assert (set(seen["projects"]), set(seen["clients"])) == (live(world.projects), clients)
    assert set(seen["tags"]) == live(world.tags)
    assert {int(id_) for id_ in seen["entries"]} <= own
    assert len(seen["report"]) == len(set(seen["report"])) > 50
    assert set(seen["report"]) <= live(world.time_entries)
