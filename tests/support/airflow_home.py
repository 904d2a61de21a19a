"""A real Airflow for tests: a home of its own, real processes, and the public REST API to talk to it.

::

    with AirflowHome(tmp_path / "airflow", dags=DAGS) as home:
        home.set_connection("toggl_default", {"conn_type": "toggl", "password": "..."})
        home.start()                                  # API server, scheduler, DAG processor, triggerer
        run_id = home.trigger("toggl_sync")
        assert home.wait_for_run("toggl_sync", run_id, timeout=120) == "success"

It is the Airflow of the interpreter that runs the tests, so the same test runs on each supported version. Homes
share no ports, files or variables, so tests may run in parallel. Everything ends with the ``with`` block.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import requests
from support.airflow_state import describe_airflow, lines_of_package
from support.processes import end_session

if TYPE_CHECKING:
    from airflow_provider_toggl.sandbox.server import SandboxProcess

EXECUTABLES = Path(sys.executable).parent
COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
# All processes have one file system, so none of them has to serve its logs to another.
_OPTIONS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
# The names that the health endpoint has for those of them that send heartbeats.
_HEARTBEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}

PATIENCE = 120.0
"""Seconds within which the API server answers, also on a machine that has much else to do."""

T = TypeVar("T")


class AirflowHome:
    """One Airflow installation with a SQLite metadata database.

    :param path: its directory, made if missing.
    :param dags: the folder of DAG files; without it, an empty one inside ``path``.
    :param env: more environment variables for every process, such as ``AIRFLOW__TOGGL__STATE_DIR``.
    """

    def __init__(self, path: Path, *, dags: Path | None = None, env: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.dags = dags or path / "dags"
        self.logs = path / "process-logs"
        for directory in (self.path, self.dags, self.logs):
            directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._write_settings()
        self.env = self._build_env() | dict(env or {})
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token: str | None = None
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy of the machine is not for localhost

    def __enter__(self) -> AirflowHome:
        self.migrate()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop(timeout=0)
        self._http.close()

    # -- setting up ---------------------------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Create the metadata database if it is missing."""
        create_metadata_database(self.path / "airflow.db", self.env)

    def cli(self, *args: str, timeout: float = 120) -> str:
        """Run ``airflow <args>`` and return what it printed; its errors are in the exception.

        :param timeout: in seconds.
        :raises RuntimeError: it did not exit with 0.
        """
        command = f"airflow {' '.join(args)}"
        try:
            done = subprocess.run(
                [EXECUTABLES / "airflow", *args],
                env=self.env,
                cwd=self.path,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            printed = (error.stdout or b"").decode(errors="replace")
            raise RuntimeError(f"{command} has not ended after {timeout:g} s:\n{printed}") from None
        if done.returncode:
            raise RuntimeError(f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def set_connection(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        """Set a connection for every process that starts later, by an environment variable.

        :param fields: as in Airflow's JSON form: ``conn_type``, ``host``, ``password``, ``extra`` (a dict), ...
        """
        self.env[f"AIRFLOW_CONN_{conn_id.upper()}"] = json.dumps(dict(fields))

    # -- processes ----------------------------------------------------------------------------------------------------

    def start(self, *components: str, timeout: float = 120) -> None:
        """Start components and wait until each is ready; without names, all of them.

        :param components: of ``COMPONENTS``. The API server must be among those running, to ask it for the others.
        :param timeout: in seconds.
        """
        started = components or COMPONENTS
        for component in started:
            with (self.logs / f"{component}.log").open("ab") as log:
                self.processes[component] = subprocess.Popen(
                    [EXECUTABLES / "airflow", component, *_OPTIONS.get(component, [])],
                    env=self.env,
                    cwd=self.path,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        self.wait_until(lambda: self._is_ready(started), timeout=timeout, what=f"{', '.join(started)} to be ready")

    def stop(self, *components: str, timeout: float = 5) -> None:
        """End components with everything they started; without names, all of them.

        :param timeout: seconds they have to end by themselves before they are killed (a triggerer wants 12); 0 kills
            at once.
        """
        names = components or tuple(self.processes)
        end_session([self.processes.pop(name) for name in names], timeout=timeout)

    def log(self, component: str) -> str:
        """Return what a component has printed so far."""
        return (self.logs / f"{component}.log").read_text(errors="replace")

    def wait_until(self, condition: Callable[[], T], *, timeout: float, what: str) -> T:
        """Wait until a condition holds, and return its result.

        :param timeout: in seconds.
        :param what: a description for the error.
        :raises TimeoutError: it did not hold in time; the message has the ends of the processes' logs, what this
            package logged in the triggerer, and the state of Airflow and of the event store.
        :raises RuntimeError: a process ended meanwhile.
        """
        deadline = time.monotonic() + timeout
        while True:
            if answer := condition():
                return answer
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            if ended:
                raise RuntimeError(f"{', '.join(ended)} ended while waiting for {what}.\n{self._describe()}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"Waited {timeout:g} s for {what}.\n{self._describe()}")
            time.sleep(0.2)

    # -- the REST API -------------------------------------------------------------------------------------------------

    def api(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call the public API as an administrator and return the JSON of its answer, ``None`` where there is none.

        :param path: below ``/api/v2``, as ``/dags/x/dagRuns``.
        :param kwargs: for ``requests``: ``json``, ``params``, ...
        :raises requests.HTTPError: any answer but 2xx; Airflow's text is in the message.
        """
        if self._token is None:
            self._token = self._http.get(f"{self.url}/auth/token", timeout=PATIENCE).json()["access_token"]
        answer = self._http.request(
            method,
            f"{self.url}/api/v2{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=PATIENCE,
            **kwargs,
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.status_code} {answer.text[:1000]}", response=answer)
        return answer.json() if answer.content else None

    def switch_on(self, *dag_ids: str, timeout: float = 60) -> None:
        """Wait until the DAGs are parsed, switch them on, and parse them again, which starts their watchers.

        :param timeout: seconds for each DAG to be parsed.
        """
        for dag_id in dag_ids:
            self._unpause(dag_id, timeout)
            token = self.api("GET", f"/dags/{dag_id}")["file_token"]
            self._write("PUT", f"/parseDagFile/{token}")

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        *,
        logical_date: datetime | None = None,
        timeout: float = 60,
    ) -> str:
        """Wait until the DAG is parsed, switch it on, start a run and return its id.

        :param timeout: seconds for the DAG to be parsed.
        """
        self._unpause(dag_id, timeout)
        run_id = f"test__{secrets.token_hex(8)}"
        when = None if logical_date is None else logical_date.isoformat()
        body = {"dag_run_id": run_id, "logical_date": when, "conf": dict(conf or {})}
        self._write("POST", f"/dags/{dag_id}/dagRuns", json=body)
        return run_id

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout: float) -> str:
        """Return ``success`` or ``failed`` once the run has ended.

        :param timeout: in seconds.
        """

        def ended() -> str:
            state = str(self.api("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"])
            return state if state in ("success", "failed") else ""

        return self.wait_until(ended, timeout=timeout, what=f"run {run_id} of DAG {dag_id} to end")

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the run's task instances as the API gives them: ``task_id``, ``state``, ``try_number``, ..."""
        answer = self.api("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances")
        return list(answer["task_instances"])

    def asset_events(self, uri: str | None = None, *, timeout: float = 60) -> list[dict[str, Any]]:
        """Return the first hundred events of the asset with that URI, of all assets without one.

        :param timeout: in seconds. Airflow answers 500 while a run that an event has made has not started.
        """
        params: dict[str, Any] = {"limit": 100}
        if uri is not None:
            (params["asset_id"],) = [one["id"] for one in self.api("GET", "/assets")["assets"] if one["uri"] == uri]

        def answered() -> dict[str, Any] | None:
            try:
                return dict(self.api("GET", "/assets/events", params=params))
            except requests.HTTPError as refusal:
                if refusal.response is None or refusal.response.status_code != 500:
                    raise
                return None

        return list(self.wait_until(answered, timeout=timeout, what="asset events")["asset_events"])

    # -- inside -------------------------------------------------------------------------------------------------------

    def _unpause(self, dag_id: str, timeout: float) -> None:
        self.wait_until(lambda: self.is_parsed(dag_id), timeout=timeout, what=f"DAG {dag_id} to be parsed")
        self._write("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def _write(self, method: str, path: str, **kwargs: Any) -> None:
        """Call the API, again while another process has locked the SQLite database."""

        def is_done() -> bool:
            try:
                self.api(method, path, **kwargs)
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                # 500: the database is locked. 409: an earlier call has written it.
                if status not in (409, 500):
                    raise
                return status == 409
            return True

        self.wait_until(is_done, timeout=60, what=f"{method} {path}")

    def _write_settings(self) -> None:
        """Let statements wait for a lock of the SQLite database longer than its default of 5 s.

        Not in the API server: each call that changes something commits its audit log in the event loop
        (``api_fastapi/logging/decorators.py``). If a thread of the same server has the lock, that thread needs the
        event loop to commit, and both wait until this time is over. Clients repeat a call that failed for it.
        """
        config = self.path / "config"  # Airflow imports from here
        config.mkdir(exist_ok=True)
        (config / "sqlite_settings.py").write_text(
            'import sys\n\nCONNECT_ARGS = {"timeout": 5 if "api-server" in sys.argv else 60}\n'
        )

    def _build_env(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
        return env | {
            "PATH": f"{EXECUTABLES}{os.pathsep}{env.get('PATH', '')}",
            "NO_PROXY": "localhost,127.0.0.1",
            "AIRFLOW_HOME": str(self.path),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Otherwise 32 worker processes start at once.
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            # Its listener takes over half a second of each process.
            "AIRFLOW__OPENLINEAGE__DISABLED": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            # A new DAG file is parsed within a second or two, and again when `switch_on` asks for it: parsing all files
            # again every few seconds is most of what an idle Airflow does.
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.path / 'airflow.db'}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS": "sqlite_settings.CONNECT_ARGS",
        }

    def _is_ready(self, components: tuple[str, ...]) -> bool:
        try:
            answer = self._http.get(f"{self.url}/api/v2/monitor/health", timeout=10)
        except (requests.ConnectionError, requests.Timeout):
            return False
        if not answer.ok:
            return False
        health = answer.json()
        return all(health[name]["status"] == "healthy" for c, name in _HEARTBEATS.items() if c in components)

    def is_parsed(self, dag_id: str) -> bool:
        """Whether the DAG is known already."""
        try:
            self.api("GET", f"/dags/{dag_id}")
        except requests.HTTPError as refusal:
            if refusal.response is not None and refusal.response.status_code == 404:
                return False
            raise
        return True

    def _describe(self, lines: int = 30) -> str:
        """Return what the processes do. Airflow's state comes last, where a shortened message keeps it."""
        logs = {name: self.log(name) for name in self.processes}
        parts = [f"--- {name}\n" + "\n".join(log.splitlines()[-lines:]) for name, log in logs.items()]
        if "triggerer" in logs:
            parts.append(f"--- triggerer, only about triggers\n{lines_of_package(logs['triggerer'])}")
        return "\n".join([*parts, describe_airflow(self.path)])


def create_metadata_database(database: Path, env: Mapping[str, str]) -> None:
    """Create Airflow's metadata database at that path, unless it is there.

    The first one of a user and an Airflow version is kept in the temporary directory and copied later: migrating takes
    10 s, a copy 10 ms.

    :param env: the environment of ``airflow db migrate``; its metadata database must be this one.
    """
    if database.exists():
        return
    kept = Path(tempfile.gettempdir()) / f"airflow-{version('apache-airflow-core')}-migrated-{os.getuid()}.db"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run in parallel; one of them migrates
        if not kept.exists():
            migrate = [EXECUTABLES / "airflow", "db", "migrate"]
            subprocess.run(migrate, env=dict(env), check=True, capture_output=True, timeout=120)
            shutil.copyfile(database, kept.with_suffix(".part"))
            kept.with_suffix(".part").rename(kept)
    if not database.exists():
        shutil.copyfile(kept, database)


def free_port() -> int:
    """Return a TCP port of localhost that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect_sandbox(home: AirflowHome, toggl: SandboxProcess, **extra: object) -> Path:
    """Set the connections to a sandbox and to a new DuckDB file; return the file."""
    home.set_connection(
        "toggl_default",
        {
            "conn_type": "toggl",
            "host": toggl.url,
            "password": toggl.token,
            "extra": {"workspace_id": toggl.workspace_id, "requests_per_second": 100, **extra},
        },
    )
    path = home.path / "warehouse.duckdb"
    path.unlink(missing_ok=True)  # of another test with this Airflow
    home.set_connection("duckdb_default", {"conn_type": "duckdb", "host": str(path)})
    return path
