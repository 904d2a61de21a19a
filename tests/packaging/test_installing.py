"""The wheel in an environment that has nothing but what the wheel asks for."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from support.distributions import UV, build, make_environment, write_constraints
from support.repository import package_modules
from support.servers.mariadb import PASSWORD, find_mariadb, running_mariadb
from support.servers.postgres import running_postgres

pytestmark = [pytest.mark.newest, pytest.mark.timeout(900), pytest.mark.xdist_group("packaging")]

# Only pytest imports its plugin.
OF_PYTEST = {"airflow_provider_toggl.pytest_plugin": "pytest"}
# What each extra brings, and the modules that are of no use without.
OF_AN_EXTRA = {
    "airflow_provider_toggl.core.client.limits.postgres_state": "psycopg",
    "airflow_provider_toggl.core.databases.postgres": "psycopg",
    "airflow_provider_toggl.core.databases.postgres_schema": "psycopg",
    "airflow_provider_toggl.core.databases.postgres_server": "psycopg",
    "airflow_provider_toggl.core.events.postgres.engine": "psycopg",
    **{
        f"airflow_provider_toggl.core.load.engines.iceberg.{name}": "pyiceberg"
        for name in ("facts", "files", "maintenance", "schemas", "snapshots", "state", "store")
    },
    "airflow_provider_toggl.core.load.engines.bigquery.errors": "google.api_core",
    "airflow_provider_toggl.core.load.engines.bigquery.store": "google.api_core",
    "airflow_provider_toggl.core.load.engines.postgres.engine": "psycopg",
    **OF_PYTEST,
}
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
LOCKS = ("airflow-newest", "airflow-oldest")
OF_CLOUDS = ("bigquery", "clickhouse", "snowflake")
"""Extras whose use is tried by ``make clouds``, since their packages are many."""
EXTRAS = "iceberg,mysql,polars,postgres,report,sandbox,sqlite"

BUILD_WAREHOUSE = """
from airflow_provider_toggl.hooks.warehouse import build_warehouse
build_warehouse("warehouse", "toggl", 1.0).close()
"""
OPEN_WAREHOUSE = """
from airflow_provider_toggl.hooks.warehouse import open_warehouse
with open_warehouse("warehouse", schema="toggl") as target:
    print(target.query('select count(*) as "rows" from time_entries')["rows"].to_pylist())
"""
# What somebody who asked for an extra does with it.
USES = {
    "bigquery": BUILD_WAREHOUSE,
    "clickhouse": BUILD_WAREHOUSE,
    "snowflake": BUILD_WAREHOUSE,
    "iceberg": OPEN_WAREHOUSE,
    "mysql": OPEN_WAREHOUSE,
    "sqlite": OPEN_WAREHOUSE,
    "postgres": OPEN_WAREHOUSE
    + """
from airflow_provider_toggl.hooks.events import open_event_store
open_event_store(event_store_conn_id="warehouse").close()
""",
    "polars": """
import pyarrow
from airflow_provider_toggl.hooks.toggl import to_data_frame
print(to_data_frame(pyarrow.table({"id": [1]}), "polars").shape)
""",
    "report": """
import datetime, pathlib
from airflow_provider_toggl.report.chart import draw_png
from airflow_provider_toggl.report.weeks import WeeklyReport
draw_png(WeeklyReport([datetime.date(2026, 1, 5)], [], zone="UTC"), pathlib.Path("weekly.png"))
print(pathlib.Path("weekly.png").stat().st_size)
""",
    "sandbox": """
from airflow_provider_toggl.sandbox.server import SandboxProcess
with SandboxProcess(["--entries", "3"]) as toggl:
    print(toggl.health())
""",
}

IMPORT_ALL = """
import importlib, json, sys, warnings
warnings.simplefilter("error", ImportWarning)
missing = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
print(json.dumps(missing))
"""

WITHOUT_EXTRAS = """
import datetime, json, os, pathlib
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.toggl import to_data_frame
from airflow_provider_toggl.hooks.warehouse import open_warehouse
from airflow_provider_toggl.report.chart import draw_png
from airflow_provider_toggl.report.weeks import WeeklyReport
for kind in ("iceberg", "postgres", "mysql"):
    os.environ[f"AIRFLOW_CONN_OF_{kind.upper()}"] = json.dumps({"conn_type": kind, "host": "localhost"})
attempts = {
    "postgres": lambda: open_warehouse("of_postgres", schema="toggl"),
    "postgres, events": lambda: open_event_store(event_store_conn_id="of_postgres"),
    "mysql": lambda: open_warehouse("of_mysql", schema="toggl"),
    "iceberg": lambda: open_warehouse("of_iceberg", schema="toggl"),
    "polars": lambda: to_data_frame(None, "polars"),
    "report": lambda: draw_png(WeeklyReport([datetime.date(2026, 1, 5)], [], zone="UTC"), pathlib.Path("no.png")),
}
said = {}
for name, attempt in attempts.items():
    try:
        attempt()
    except ConfigurationError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"), "wheel")["wheel"]


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and without any extra."""
    folder = tmp_path_factory.mktemp("environment")
    # The versions of the lock, but not its overrides: those leave out what cannot be installed.
    return make_environment(folder / "venv", "--no-build", str(wheel), constraints=write_constraints(folder))


def run(python: Path, program: str, home: Path, *arguments: str) -> dict[str, str]:
    env = {"AIRFLOW_HOME": str(home), "HOME": str(home), "PATH": os.environ["PATH"]}
    command = [python, "-c", program, *arguments]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def importable() -> list[str]:
    # Running sandbox/__main__ serves.
    return [module.name for module in package_modules() if not module.name.endswith("sandbox.__main__")]


def test_every_module_is_imported_with_what_is_declared(python: Path, tmp_path: Path) -> None:
    assert run(python, IMPORT_ALL, tmp_path, json.dumps(importable())) == OF_AN_EXTRA


def test_what_needs_an_extra_says_which(python: Path, tmp_path: Path) -> None:
    said = run(python, WITHOUT_EXTRAS, tmp_path)
    for name in ("iceberg", "postgres", "postgres, events", "mysql", "polars", "report"):
        assert f"airflow-provider-toggl[{name.split(',')[0]}]" in said[name], said[name]


def test_the_dependencies_agree_with_each_other(python: Path) -> None:
    done = subprocess.run([UV, "pip", "check", "--python", python], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.soak
@pytest.mark.installs
@pytest.mark.parametrize(
    "extra", [pytest.param(extra, marks=pytest.mark.clouds if extra in OF_CLOUDS else ()) for extra in USES]
)
def test_an_extra_needs_no_compiler_and_can_be_used(python: Path, wheel: Path, extra: str, tmp_path: Path) -> None:
    # A copy with bytecode and without any extra; uv adds files and changes none.
    shutil.copytree(python.parents[1], tmp_path / "venv", symlinks=True, copy_function=os.link)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = write_constraints(tmp_path, "clouds" if extra in OF_CLOUDS else "airflow-newest")
    install = [UV, "pip", "install", "--quiet", "--no-build", "--python", python, "-c", constraints]
    done = subprocess.run([*install, f"{wheel}[{extra}]"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    use(extra, python, tmp_path)


@pytest.mark.soak
@pytest.mark.installs
@pytest.mark.parametrize("extra", USES)
def test_pip_installs_an_extra_as_of_today_where_there_is_no_compiler(wheel: Path, extra: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "bin").mkdir()
    # Where packages come from is this machine's matter; what it has installed besides must not help.
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "HTTP", "NO_PROXY"))}
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", f"{wheel}[{extra}]"],
        env=kept | {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    use(extra, python, tmp_path)
    shutil.rmtree(tmp_path / "venv")


def test_the_use_of_every_extra_is_tried(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        declared = re.findall(r"^Provides-Extra: (.+)$", archive.read(name).decode(), re.MULTILINE)
    assert set(USES) == set(declared) == {*EXTRAS.split(","), *OF_CLOUDS}


def use(extra: str, python: Path, home: Path) -> None:
    """Do what an extra is for, against a real server where it is for one."""
    with contextlib.ExitStack() as stack:
        connection: dict[str, Any] = {"conn_type": extra, "host": "127.0.0.1"}
        if extra == "mysql":
            if find_mariadb() is None:
                pytest.skip("MariaDB is not installed")
            connection |= {"port": stack.enter_context(running_mariadb()).port, "login": "toggl", "password": PASSWORD}
        elif extra == "postgres":
            port = stack.enter_context(running_postgres()).port
            connection |= {"port": port, "login": "postgres", "schema": "postgres"}
        elif extra == "bigquery":
            connection = {"conn_type": "gcpbigquery", "extra": {"project": "toggl"}}
        elif extra == "snowflake":
            connection = {"conn_type": extra, "login": "toggl", "password": PASSWORD}
            connection["extra"] = {"account": "toggl", "database": "ANALYTICS", "warehouse": "LOADING"}
        elif extra == "iceberg":
            catalog = {"type": "sql", "uri": f"sqlite:///{home}/catalog.db", "warehouse": f"file://{home}/tables"}
            connection = {"conn_type": extra, "extra": catalog}
        elif extra == "sqlite":
            connection["host"] = str(home / "warehouse.sqlite")
        env = {
            "AIRFLOW_HOME": str(home),
            "HOME": str(home),
            "PATH": str(home / "bin"),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(connection),
        }
        done = subprocess.run(
            [python, "-c", USES[extra]], env=env, cwd=home, capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr


@pytest.mark.soak
@pytest.mark.installs
@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("version", PYTHONS)
def test_each_supported_python_and_airflow_installs_and_imports_all(
    wheel: Path, version: str, lock: str, tmp_path: Path
) -> None:
    found = find_python(version)
    if found is None:
        pytest.skip(f"there is no Python {version} here")
    constraints = write_constraints(tmp_path, lock)
    python = make_environment(tmp_path / "venv", f"{wheel}[{EXTRAS}]", constraints=constraints, python=str(found))
    assert run(python, IMPORT_ALL, tmp_path, json.dumps(importable())) == OF_PYTEST
    shutil.rmtree(tmp_path / "venv")


@pytest.mark.soak
@pytest.mark.installs
@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("version", PYTHONS)
def test_each_supported_python_and_airflow_has_wheels_of_all_that_is_asked_for(
    wheel: Path, version: str, lock: str, tmp_path: Path
) -> None:
    asked = tmp_path / "asked.in"
    asked.write_text(f"airflow-provider-toggl[{EXTRAS}] @ {wheel.as_uri()}\n")
    compile_ = [UV, "pip", "compile", "--quiet", "--python-version", version, "--only-binary", ":all:"]
    done = subprocess.run(
        [*compile_, "-c", write_constraints(tmp_path, lock), asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "apache-airflow==3." in done.stdout


def find_python(version: str) -> Path | None:
    """Return a Python of that version: on the path, or installed beside the one that runs this."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python{version}"))
    for one in [*beside, shutil.which(f"python{version}")]:
        if one is not None and subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(one)
    return None
