"""A distributed Airflow for tests: its metadata in PostgreSQL, Celery workers and triggerers on hosts of their own.

::

    with running_fleet(tmp_path, dags=DAGS) as fleet:
        fleet.connect(sandbox)                        # Toggl, the warehouse and the shared state
        fleet.start()
        run = fleet.trigger("toggl_sync")
        fleet.kill_worker("worker-1")
        fleet.start_worker("worker-1")                # with an empty disk
        assert fleet.wait_for_run("toggl_sync", run, timeout=120) == "success"

API server, scheduler, DAG processor, Redis and the databases are on this machine (``AirflowHome``); the hosts reach
them at the gateway of their network. Everything ends with the ``with`` block.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from support.airflow_home import EXECUTABLES, AirflowHome
from support.hosts import HostNetwork, host_network
from support.servers.postgres import PostgresServer, running_postgres
from support.servers.redis import running_redis

from airflow_provider_toggl.sandbox.server import SandboxProcess

WORKERS = ("worker-1", "worker-2", "worker-3")
TRIGGERERS = ("triggerer-1", "triggerer-2")
CONTROL = ("api-server", "scheduler", "dag-processor")

_POLICY = """
from datetime import timedelta


def task_policy(task):
    # Hosts are lost more often than the authors of DAGs expect.
    task.retries, task.retry_delay = 100, timedelta(seconds=1)
"""


class Fleet(AirflowHome):
    """An Airflow on several hosts, with the methods of ``AirflowHome`` and those that need hosts.

    :param network: where the hosts are.
    :param broker: URL of the Redis server.
    :param metadata: the server of Airflow's metadata database.
    :param data: the server of the shared state and the warehouse.
    """

    def __init__(
        self,
        path: Path,
        network: HostNetwork,
        broker: str,
        metadata: PostgresServer,
        data: PostgresServer,
        *,
        dags: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(path, dags=dags)
        self.network = network
        self.data = data
        self.broker = broker
        self.url = f"http://{network.gateway}:{self.port}"
        self.env |= self._fleet_settings(metadata) | dict(env or {})
        del self.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS"]
        self.hosts = {name: network.add(name, path / "hosts" / name) for name in (*WORKERS, *TRIGGERERS)}

    def migrate(self) -> None:
        """Create the metadata database."""
        self.cli("db", "migrate")

    def connect(self, toggl: SandboxProcess, conn_id: str = "toggl_default", **extra: object) -> None:
        """Set the connections to a sandbox, to the shared state, and to the warehouse, ``warehouse``.

        :param toggl: must listen on the network's gateway.
        """
        self.set_connection(
            conn_id,
            {
                "conn_type": "toggl",
                "host": toggl.url,
                "password": toggl.token,
                "extra": {
                    "workspace_id": toggl.workspace_id,
                    "event_store_conn_id": "toggl_state",
                    "allow_plain_http": True,
                    **extra,
                },
            },
        )

    # -- processes ----------------------------------------------------------------------------------------------------

    def start(self, *components: str, timeout: float = 180) -> None:
        """Start the whole fleet, or some of the components of ``AirflowHome``, and wait until it is ready."""
        if components:
            super().start(*components, timeout=timeout)
            return
        for name in WORKERS:
            self._start_on_host(name, "celery", "worker", "--skip-serve-logs")
        for name in TRIGGERERS:
            self._start_on_host(name, "triggerer", "--skip-serve-logs")
        super().start(*CONTROL, timeout=timeout)
        self.wait_until(lambda: self.alive_triggerers() == len(TRIGGERERS), timeout=timeout, what="both triggerers")
        self.wait_for_workers(*WORKERS, timeout=timeout)

    def start_worker(self, name: str) -> None:
        """Start a worker that was killed, with an empty disk."""
        self.hosts[name].wipe()
        self._start_on_host(name, "celery", "worker", "--skip-serve-logs")

    def kill_worker(self, name: str) -> None:
        """Kill all processes of a worker host at once."""
        self.processes.pop(name, None)
        self.hosts[name].kill()

    def wait_for_workers(self, *names: str, timeout: float) -> None:
        """Wait until workers accept tasks.

        :param timeout: in seconds.
        """
        self.wait_until(lambda: set(names) <= self.answering_workers(), timeout=timeout, what=f"{', '.join(names)}")

    def answering_workers(self) -> set[str]:
        """Return the workers that answer through the broker."""
        from celery import Celery

        with Celery(broker=self.broker) as app:
            answers = app.control.ping(timeout=0.5)
        return {name.partition("@")[2] for answer in answers for name in answer}

    def alive_triggerers(self) -> int:
        """Return how many triggerers send heartbeats."""
        return int(self.api("GET", "/jobs", params={"job_type": "TriggererJob", "is_alive": True})["total_entries"])

    def stop(self, *components: str, timeout: float = 0) -> None:
        """Kill components with everything they started; without names, all of them."""
        for name in components or tuple(self.processes):
            if name in self.hosts:
                self.kill_worker(name)
        super().stop(*(name for name in components or tuple(self.processes) if name in self.processes), timeout=timeout)

    def _start_on_host(self, name: str, *command: str) -> None:
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = self.hosts[name].start(
                [EXECUTABLES / "airflow", *command],
                env=self.env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _fleet_settings(self, metadata: PostgresServer) -> dict[str, str]:
        database = f"postgresql+psycopg://postgres@{metadata.address}:{metadata.port}/postgres"
        config = self.path / "config"
        (config / "airflow_local_settings.py").write_text(_POLICY)
        (config / "fleet_host.py").write_text("import os\n\n\ndef name():\n    return os.environ['HOSTNAME']\n")
        for conn_id in ("toggl_state", "warehouse"):
            self.set_connection(conn_id, self.data.connection)
        return {
            "HOSTNAME": "control",
            "NO_PROXY": f"localhost,127.0.0.1,{self.network.gateway}",
            "PYTHONPATH": str(config),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__HOST": self.network.gateway,
            "AIRFLOW__CELERY__BROKER_URL": self.broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": self.broker.removesuffix("0") + "1",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "fleet_host.name",
            "AIRFLOW__CORE__PARALLELISM": "16",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": database,
            # The tasks of a killed host are tried again within seconds; by default, after minutes.
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "12",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "2",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "100",
        }


@contextlib.contextmanager
def running_fleet(
    path: Path,
    *,
    own_addresses: bool = True,
    dags: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """Yield a fleet with running servers, whose Airflow is not started yet.

    :param path: its directory.
    :param own_addresses: whether each host has an address of its own, where the machine allows it.
    :param dags: the folder of DAG files, which all hosts read.
    :param env: more environment variables for every process.
    """
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(host_network(own_addresses=own_addresses))
        broker = stack.enter_context(running_redis(network.gateway))
        metadata = stack.enter_context(running_postgres(address=network.gateway, settings={"max_connections": 200}))
        data = stack.enter_context(running_postgres(address=network.gateway, settings={"max_connections": 100}))
        yield stack.enter_context(Fleet(path, network, broker, metadata, data, dags=dags, env=env))
