"""A worker that writes files is killed, again and again, wherever it is; what manifests publish then is the truth."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.files import published_ids, pull_files, wrong_files
from support.pulls import Workspace

from airflow_provider_toggl.core.files.reading import list_manifests, remove_unpublished
from airflow_provider_toggl.core.files.storage import LocalStorage

TESTS = Path(__file__).parents[1]


def write_and_die(workspace: Workspace, folder: Path, started: str, number: int, rng: random.Random) -> bool:
    """Write files in another process and kill it some time after some of its lines; return whether it was killed."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}",
        "RUN_STARTED": started,
        "TRY_NUMBER": str(number),
        "CLOCK_AHEAD": str(workspace.clock.ahead),
    }
    arguments = [str(folder), workspace.toggl.url, workspace.toggl.token, str(workspace.id)]
    command = [sys.executable, "-m", "support.files", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS.parent) as process:
        assert process.stdout is not None
        for _ in range(rng.randrange(1, 6)):
            if not process.stdout.readline():
                break
        # Not a wait for anything: it lets the kill fall anywhere.
        time.sleep(rng.random() * 0.03)
        process.kill()
    return process.returncode == -9


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_twenty_killed_tries_publish_every_row_once(workspace: Workspace, tmp_path: Path) -> None:
    rng = random.Random(4)
    storage, started = LocalStorage(tmp_path / "files"), workspace.now()
    kills, published = 0, []
    for number in range(1, 21):
        kills += write_and_die(workspace, tmp_path / "files", started.isoformat(), number, rng)
        published.append(len(list_manifests(storage, "time_entries")))
    assert kills >= 10, "most tries ended before they were killed"
    assert len(set(published)) > 2, "no try published anything"
    pull_files(workspace, storage, page_size=20, run_started=started, attempt_key="killed", try_number=21)
    assert wrong_files(workspace, storage, "time_entries") == []
    ids = published_ids(storage)
    assert (len(ids), len(set(ids))) == (240, 240)
    assert remove_unpublished(storage, "time_entries", workspace.now() + timedelta(days=2))
    assert wrong_files(workspace, storage, "time_entries") == []
