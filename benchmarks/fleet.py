"""Hosts share tokens through PostgreSQL: refusals, share of the rate, fair shares, cost of a permit, many workspaces.

Six hosts have a disk, a host name and process numbers each. All are behind one address, where Toggl's bucket is one for
all. The bucket is strict, and the server takes 200 ms for each response. pyrate-limiter's PostgreSQL bucket does the
same beside it, in an environment of its own (``--pyrate-python``). Mapped tasks of an Airflow with three Celery workers
load the many workspaces.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import psycopg
from harness.limits import Limit, report
from harness.many_workspaces import Scenario, measure_many_workspaces
from support.hosts import Host, host_network
from support.sandboxes import request_times
from support.servers.postgres import PostgresServer, running_postgres

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.postgres_state import PostgresState
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.token_state import Permit, Wait
from airflow_provider_toggl.sandbox.server import SandboxProcess

ROOT = Path(__file__).parents[1]
HOSTS = 6
RESPONSE_SECONDS = 0.2
MIN_SHARE = 0.75
QUOTA, RESERVE, WINDOWS, WINDOW_SECONDS = 30, 2, 5, 15.0
#: Permits per second while the cost of one is measured, and how long a request takes then.
COST_RATE, COST_RESPONSE = 5.0, 0.05
#: Statements per second while processes wait at Toggl's own pace of one request a second. A permit and its return are
#: two transactions of up to six statements.
MOST_STATEMENTS = 30.0
#: The time in which 20 workspaces are loaded, as a multiple of what quotas and pace require.
MAX_TIME_RATIO = 1.1
READY_SECONDS = 120.0


class Fleet:
    """Hosts, a database and a sandbox that share one token."""

    def __init__(self, hosts: list[Host], server: PostgresServer, sandbox: SandboxProcess, folder: Path) -> None:
        self.hosts = hosts
        self.server = server
        self.sandbox = sandbox
        self.folder = folder

    def connections(self, **extra: Any) -> dict[str, str]:
        """Return the Airflow connections as variables.

        :param extra: more fields of the Toggl connection.
        """
        extra = {"event_store_conn_id": "toggl_state", "allow_plain_http": True, **extra}
        return {
            "AIRFLOW_CONN_TOGGL_DEFAULT": self.sandbox.airflow_connection(**extra),
            "AIRFLOW_CONN_TOGGL_STATE": json.dumps(self.server.connection),
        }

    def run(self, start: Callable[[int, Host, Path], subprocess.Popen[bytes]], patience: float) -> list[dict[str, Any]]:
        """Start a process on each host, let all go on when all are ready, and return their results.

        :param patience: seconds within which they end.
        """
        with tempfile.TemporaryDirectory() as name:
            signs = Path(name)
            processes = [start(number, host, signs) for number, host in enumerate(self.hosts)]
            _await_files(signs, "ready-*", len(processes))
            self.sandbox.reset_quota()
            self.sandbox.reset_requests()
            (signs / "go").touch()
            return [_result(process, patience) for process in processes]


@contextmanager
def running_fleet(**settings: Any) -> Iterator[Fleet]:
    """Yield a fleet whose sandbox has these settings; everything ends with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="fleet-") as name,
        host_network(own_addresses=False) as network,
        running_postgres(settings={"max_connections": 100}) as server,
        SandboxProcess(["--entries", "100"]) as sandbox,
    ):
        sandbox.set(**settings)
        folder = Path(name)
        yield Fleet([network.add(f"host-{n}", folder / f"host-{n}") for n in range(HOSTS)], server, sandbox, folder)


def measure_pace(rate: float, seconds: float) -> dict[str, Any]:
    """Let a process on each host send as fast as the shared state allows."""
    with running_fleet(quota_enforced=False, bucket_enforced=True, bucket_rate=rate, bucket_capacity=1) as fleet:
        fleet.sandbox.fault("slow", seconds=RESPONSE_SECONDS, times=None)
        env = fleet.connections(requests_per_second=rate)

        def start(number: int, host: Host, signs: Path) -> subprocess.Popen[bytes]:
            return host.call("support.host_requests:send", env=env, start=str(signs), number=number, seconds=seconds)

        results = fleet.run(start, seconds + READY_SECONDS)
        return {"mode": "hosts", "rate": rate, **_count(fleet, rate), **_sum(results)}


def measure_pods(rate: float, seconds: float, requests: int = 4) -> dict[str, Any]:
    """Let each host run one pod after another, each a new process with an empty disk that sends a few requests."""
    with running_fleet(quota_enforced=False, bucket_enforced=True, bucket_rate=rate, bucket_capacity=1) as fleet:
        fleet.sandbox.fault("slow", seconds=RESPONSE_SECONDS, times=None)
        env, results = fleet.connections(requests_per_second=rate), []
        end = time.monotonic() + seconds

        def run_pods(host: Host) -> None:
            while time.monotonic() < end:
                host.wipe()
                pod = host.call("support.host_requests:send_some", env=env, requests=requests)
                results.append(_result(pod, READY_SECONDS))

        threads = [threading.Thread(target=run_pods, args=(host,)) for host in fleet.hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"mode": "pods", "rate": rate, "pods": len(results), **_count(fleet, rate), **_sum(results)}


def measure_quota() -> dict[str, Any]:
    """Let a task on each host use its share of each quota window."""
    with running_fleet(organization_quota=QUOTA, quota_window_seconds=WINDOW_SECONDS) as fleet:
        env = fleet.connections(requests_per_second=20, quota_reserve=RESERVE)
        seconds = WINDOWS * (WINDOW_SECONDS + 1.5) - 2

        def start(number: int, host: Host, signs: Path) -> subprocess.Popen[bytes]:
            order = {"number": number, "seconds": seconds, "workspace": fleet.sandbox.workspace_id}
            return host.call("support.host_requests:claim", env=env, start=str(signs), **order)

        results = fleet.run(start, seconds + READY_SECONDS)
        statuses = fleet.sandbox.requests()["by_status"]
    answers = sorted((at, number) for number, result in enumerate(results) for at in result["times"])
    windows: list[Counter[int]] = []
    last = 0.0
    for at, number in answers:
        # All requests of a window are sent within a part of it.
        if at - last > WINDOW_SECONDS / 3:
            windows.append(Counter(dict.fromkeys(range(HOSTS), 0)))
        windows[-1][number] += 1
        last = at
    shares = [[window[number] for number in range(HOSTS)] for window in windows[:WINDOWS]]
    return {
        "requests_by_window": [sum(window) for window in shares],
        "shares_by_window": shares,
        "refused_402": statuses.get("402", 0),
        "largest_difference": max(max(window) - min(window) for window in shares),
    }


def measure_cost(waiting: int, rate: float, seconds: float, *, shared: bool) -> dict[str, Any]:
    """Let processes wait for permits, and return how long a permit keeps one busy and what it costs the database.

    :param waiting: how many processes.
    :param rate: permits per second.
    :param shared: whether the state is in PostgreSQL and not in a file of the host.
    """
    with (
        tempfile.TemporaryDirectory() as name,
        running_postgres(settings={"max_connections": 400, "log_statement": "all"}) as server,
    ):
        PostgresState(server.dsn).read("nobody", 0)
        context = multiprocessing.get_context("fork")
        begin, stop = context.Event(), context.Event()
        results: multiprocessing.Queue[dict[str, Any]] = context.Queue()
        place = server.dsn if shared else Path(name) / "quota.sqlite"
        workers = [
            context.Process(target=_wait_in_line, args=(place, waiting, rate, (begin, stop), results))
            for _ in range(waiting)
        ]
        for worker in workers:
            worker.start()
        # Until all are in line.
        time.sleep(2.0 + waiting / 10)
        begin.set()
        before, most, begun = server.log().count("LOG:  "), 0, time.monotonic()
        while time.monotonic() < begun + seconds:
            most = max(most, _count_sessions(server))
            time.sleep(0.5)
        took = time.monotonic() - begun
        statements = server.log().count("LOG:  ") - before - 2 * round(took / 0.5)
        stop.set()
        parts = [results.get(timeout=READY_SECONDS) for _ in workers]
        for worker in workers:
            worker.join()
    costs = sorted(cost for part in parts for cost in part["costs"])
    return {
        "store": "postgres" if shared else "file",
        "waiting": waiting,
        "rate": rate,
        "permits": len(costs),
        "p50_ms": round(1000 * costs[len(costs) // 2], 2) if costs else None,
        "p99_ms": round(1000 * costs[int(len(costs) * 0.99)], 2) if costs else None,
        "asks_per_permit": round(sum(part["asks"] for part in parts) / max(1, len(costs)), 2),
        "statements_per_second": round(statements / took, 1) if shared else None,
        "most_connections": most if shared else None,
        "errors": dict(Counter(error for part in parts for error in part["errors"])),
    }


def _wait_in_line(place: Any, waiting: int, rate: float, signs: tuple[Any, Any], results: Any) -> None:
    """Ask for one permit after another until stopped; in a process of its own."""
    begin, stop = signs
    stop.wait(os.getpid() % waiting / 20)
    state = RateLimitState(PostgresState(place) if isinstance(place, str) else place, "a-token")
    costs: list[float] = []
    errors: list[str] = []
    asks = 0
    while not stop.is_set():
        cost = 0.0
        while not stop.is_set():
            asked = time.perf_counter()
            try:
                outcome: Any = state.acquire("user", pace=Pace(rate), reserve=0, now=time.time())
            except Exception as error:  # noqa: BLE001 - the result names it
                errors.append(type(error).__name__)
                outcome = Wait(1.0)
            cost += time.perf_counter() - asked
            asks += begin.is_set()
            if isinstance(outcome, Permit):
                time.sleep(COST_RESPONSE)
                asked = time.perf_counter()
                state.release(outcome, None, time.time())
                cost += time.perf_counter() - asked
                if begin.is_set():
                    costs.append(cost)
                break
            stop.wait(outcome.seconds)
    results.put({"costs": costs, "asks": asks, "errors": errors})


def measure_pyrate(python: str, rate: float, seconds: float) -> dict[str, Any]:
    """Let a process on each host send within pyrate-limiter's PostgreSQL bucket."""
    program = ROOT / "benchmarks" / "harness" / "pyrate_worker.py"
    with running_fleet(quota_enforced=False, bucket_enforced=True, bucket_rate=rate, bucket_capacity=1) as fleet:
        fleet.sandbox.fault("slow", seconds=RESPONSE_SECONDS, times=None)
        order = {"dsn": fleet.server.dsn, "url": fleet.sandbox.url, "token": fleet.sandbox.token, "rate": rate}

        def start(number: int, host: Host, signs: Path) -> subprocess.Popen[bytes]:
            own = {**order, "seconds": seconds, "start": str(signs), "number": number}
            return host.start([python, program, json.dumps(own)], env=os.environ, stdout=subprocess.PIPE)

        results = fleet.run(start, seconds + READY_SECONDS)
        return {"rate": rate, **_count(fleet, rate), "answered": [result["answered"] for result in results]}


def measure_pyrate_cost(python: str, waiting: int, seconds: float) -> dict[str, Any]:
    """Let processes wait for permits of pyrate-limiter's bucket, and return what that costs the database."""
    program = ROOT / "benchmarks" / "harness" / "pyrate_worker.py"
    settings = {"max_connections": waiting + 20, "log_statement": "all"}
    with tempfile.TemporaryDirectory() as name, running_postgres(settings=settings) as server:
        signs = Path(name)
        order = {"dsn": server.dsn, "rate": COST_RATE, "seconds": seconds, "start": name}
        orders = [json.dumps({**order, "number": number}) for number in range(waiting)]
        workers = [subprocess.Popen([python, program, order], stdout=subprocess.PIPE) for order in orders]
        try:
            _await_files(signs, "ready-*", waiting)
            before = server.log().count("LOG:  ")
            (signs / "go").touch()
            time.sleep(seconds / 2)
            sessions = _count_sessions(server)
            permits = sum(_result(worker, seconds + READY_SECONDS)["answered"] for worker in workers)
            statements = server.log().count("LOG:  ") - before
        finally:
            for worker in workers:
                worker.kill()
    return {
        "waiting": waiting,
        "permits": permits,
        "statements_per_second": round(statements / seconds, 1),
        "connections": sessions,
    }


def _count_sessions(server: PostgresServer) -> int:
    """Return how many other sessions the server has."""
    query = "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    with psycopg.connect(server.dsn, autocommit=True) as db:
        row = db.execute(query).fetchone()
    return int(row[0]) if row else 0


def _count(fleet: Fleet, rate: float) -> dict[str, Any]:
    """Return the server's counts, and the share of the rate between the first and the last accepted request."""
    seen = fleet.sandbox.requests()
    times = request_times(call for call in seen["calls"] if call["status"] != 429)
    share = (len(times) - 1) / (rate * (times[-1] - times[0]))
    return {
        "requests": seen["total"],
        "refused_429": seen["by_status"].get("429", 0),
        "share_of_rate": round(share, 3),
    }


def _sum(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "answered": [result["answered"] for result in results],
        "errors": dict(Counter(error for result in results for error in result["errors"])),
    }


def _result(process: subprocess.Popen[bytes], patience: float) -> dict[str, Any]:
    printed, _ = process.communicate(timeout=patience)
    if process.returncode:
        raise RuntimeError(f"A process ended with status {process.returncode}.")
    return dict(json.loads(printed.splitlines()[-1]))


def _await_files(folder: Path, pattern: str, count: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while len(list(folder.glob(pattern))) < count:
        if time.monotonic() > deadline:
            raise TimeoutError("Not all processes started.")
        time.sleep(0.01)


PARTS = ("pace", "pods", "quota", "cost", "workspaces", "pyrate")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each scenario (default: %(default)s)")
    parser.add_argument("--waiting", type=int, nargs="+", default=[1, 10, 100, 300], help="default: %(default)s")
    parser.add_argument("--pyrate-python", default=str(ROOT / ".venv-benchmarks" / "bin" / "python"))
    options = parser.parse_args(arguments)
    result: dict[str, Any] = {"benchmark": "fleet", "cores": os.cpu_count(), "python": platform.python_version()}
    limits: list[Limit] = []
    if "pace" in options.parts:
        result["pace"] = [measure_pace(rate, options.seconds) for rate in (1.0, 5.0)]
        limits += _pace_limits(result["pace"])
    if "pods" in options.parts:
        result["pods"] = [measure_pods(rate, options.seconds) for rate in (1.0, 5.0)]
        limits += _pace_limits(result["pods"])
    if "quota" in options.parts:
        found = result["quota"] = measure_quota()
        limits += [
            Limit("quota: refused with 402", found["refused_402"], at_most=0),
            Limit("quota: windows", len(found["requests_by_window"]), at_least=WINDOWS),
            Limit("quota: most requests in a window", max(found["requests_by_window"]), at_most=QUOTA - RESERVE),
            Limit("quota: largest difference of shares", found["largest_difference"], at_most=1),
        ]
    if "cost" in options.parts:
        orders = [(waiting, COST_RATE, shared) for waiting in options.waiting for shared in (False, True)]
        orders += [(waiting, 1.0, True) for waiting in options.waiting]
        result["cost"] = [measure_cost(n, rate, options.seconds, shared=shared) for n, rate, shared in orders]
        limits += [
            Limit(
                f"cost: statements per second, {run['waiting']} waiting",
                run["statements_per_second"],
                at_most=MOST_STATEMENTS,
            )
            for run in result["cost"]
            if run["rate"] == 1.0
        ]
    if "workspaces" in options.parts:
        run = result["workspaces"] = measure_many_workspaces(Scenario())
        limits += [
            Limit("workspaces: time as a multiple of the least time", run["ratio"], at_most=MAX_TIME_RATIO),
            Limit("workspaces: loaded in part", run["workspaces_incomplete"], at_most=0),
            Limit("workspaces: refused", sum(run["statuses"].values()) - run["statuses"]["200"], at_most=0),
        ]
    if "pyrate" in options.parts:
        python = options.pyrate_python
        result["pyrate_limiter"] = {
            "pace": [measure_pyrate(python, rate, options.seconds) for rate in (1.0, 5.0)],
            "cost": [measure_pyrate_cost(python, waiting, options.seconds) for waiting in (1, 10, 100)],
        }
    return report(result, limits)


def _pace_limits(runs: Sequence[dict[str, Any]]) -> list[Limit]:
    limits = [
        Limit(f"{run['mode']}, {run['rate']:g}/s: refused with 429", run["refused_429"], at_most=0) for run in runs
    ]
    return limits + [
        Limit(f"{run['mode']}, {run['rate']:g}/s: share of the rate", run["share_of_rate"], at_least=MIN_SHARE)
        for run in runs
        if run["rate"] == 1.0
    ]


if __name__ == "__main__":
    sys.exit(main())
