"""A Superset server with the dashboard of this repository.

Superset runs in an environment of its own, whose program ``TOGGL_SUPERSET`` names: its requirements are not Airflow's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from support.airflow_home import free_port
from support.repository import ROOT
from support.waiting import wait_until

SUPERSET = os.environ.get("TOGGL_SUPERSET")
DASHBOARD = ROOT / "dashboard"
PASSWORD = "the password of the test"


@contextmanager
def running_superset(folder: Path, warehouse: Path) -> Iterator[str]:
    """Yield the URL of a server whose user ``admin`` has the dashboard.

    :param folder: for its files; must be empty.
    :param warehouse: the DuckDB file that the dashboard reads.
    :raises AssertionError: a command of Superset failed.
    """
    environment = {
        "HOME": str(folder),
        "PATH": os.environ.get("PATH", ""),
        "SUPERSET_HOME": str(folder),
        "SUPERSET_SECRET_KEY": secrets.token_hex(32),
    }
    _run(environment, "db", "upgrade")
    names = ("--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@example.com")
    _run(environment, "fab", "create-admin", *names, "--password", PASSWORD)
    _run(environment, "init")
    _run(environment, "import-directory", "--overwrite", str(copy_dashboard(folder, warehouse)))
    port = free_port()
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(_command("run", "--port", str(port)), env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(url), timeout=120)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def copy_dashboard(folder: Path, warehouse: Path) -> Path:
    """Return a copy of the dashboard's folder that names another DuckDB file, edited as in the how-to."""
    copy = Path(shutil.copytree(DASHBOARD, folder / "dashboard"))
    database = copy / "databases" / "warehouse.yaml"
    database.write_text(database.read_text().replace("/data/toggl.duckdb", str(warehouse)))
    return copy


def _command(*arguments: str) -> list[str]:
    assert SUPERSET is not None
    return [SUPERSET, *arguments]


def _run(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(_command(*arguments), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False
