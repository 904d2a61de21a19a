"""Measure how many deliveries a second are stored, compared with only verifying them, and with a peer.

Prints one JSON object. Each of 32 connections sends the next signed event when the last one is answered. Every id that
was answered 2xx is looked up afterwards. What is compared is measured in turns, so that other load on the machine
affects all of it.

The peer is ``airflow-provider-inbound-webhooks``, run in Airflow's API server by the interpreter of an environment of
its own (``--peer-python``, by default that of ``.venv-peers``).
"""

# ruff: noqa: PLC0415 - each part runs in an environment that may not have what the others import
from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.limits import Limit, report

ROOT = Path(__file__).parents[1]
LEAST_OF_VERIFYING = 0.75
"""Stored deliveries, as a share of those that are only verified."""
LEAST_TIMES_PEER = {"standalone": 25.0, "api_server": 12.0}
SECRET = "a-secret-of-the-benchmark"  # noqa: S105 - nobody else's
HEADER = "X-Webhook-Signature-256"
CONNECTIONS = 32
PEER = "airflow-provider-inbound-webhooks"
Turns = list[dict[str, Any]]
"""The measurements of one server, in order; the first is a warm-up."""
_FIRST_IDS = itertools.count(1_000_000, 1_000_000)

# Mounted into the API server beside the receiver: the same application without its last step.
VERIFYING_PLUGIN = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from airflow.plugins_manager import AirflowPlugin
from receiver import build_verifying
class VerifyingPlugin(AirflowPlugin):
    name = "verifying"
    fastapi_apps = [{{"app": build_verifying(), "url_prefix": "/verifying", "name": "verifying"}}]
"""


def main() -> int:
    """Measure, or serve one part of what is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--peer-python", default=str(ROOT / ".venv-peers" / "bin" / "python"))
    parser.add_argument("--serve", choices=["verifying", "peer"], help="only serve this, until stopped")
    parser.add_argument("--port", type=int, default=0, help="of the server that only verifies")
    parser.add_argument("--home", type=Path, help="of the peer's Airflow")
    parser.add_argument("--without-login", action="store_true", help="run every API server in the mode of tests")
    options = parser.parse_args()
    if options.serve == "verifying":
        serve_verifying(options.port)
        return 0
    # By default as Airflow is installed. In the mode of tests, without a login, it signs a token for every request,
    # including those to plugins.
    os.environ["BENCHMARK_ALL_ADMINS"] = str(options.without_login)
    if options.serve == "peer":
        serve_peer(options.home)
        return 0
    result = measure(options)
    return report(result, limits_of(result))


def limits_of(result: dict[str, Any]) -> list[Limit]:
    """Return the limits of a whole run."""
    limits = []
    for place, times in LEAST_TIMES_PEER.items():
        ours = result[place]
        share, looked_up = ours["durable_of_verifying"], ours["looked_up"]
        limits.append(
            Limit(f"durable deliveries as a share of verified ones, {place}", share, at_least=LEAST_OF_VERIFYING)
        )
        wrong = looked_up["missing"] + looked_up["stored_again"]
        limits.append(Limit(f"acknowledged deliveries missing or stored twice, {place}", wrong, at_most=0))
        if "durable_times_peer" in ours:
            limits.append(
                Limit(f"durable deliveries, times the peer's, {place}", ours["durable_times_peer"], at_least=times)
            )
    return limits


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the receiver on its own and in the API server, each in turns with the peer."""
    result: dict[str, Any] = {"benchmark": "receiver", "cores": os.cpu_count(), "connections": CONNECTIONS}
    result["login"] = not options.without_login
    with tempfile.TemporaryDirectory() as folder, running_peer(options.peer_python, Path(folder)) as peer:
        others = {"peer": peer["url"]} if peer else {}
        standalone, turns = measure_standalone(others, options.seconds, options.turns)
        api_server, more_turns = measure_api_server(others, options.seconds, options.turns)
        result |= {"standalone": standalone, "api_server": api_server}
        if not others:
            return {**result, "peer": f"not measured: {options.peer_python} is not there"}
        stored = ids_of_peer(Path(folder))
    peer |= summarize(turns + more_turns)
    ids = [event_id for turn in turns + more_turns for event_id in turn["taken"]]
    return {**result, "peer": {**peer, "looked_up": look_up(ids, stored)}}


# -- what is measured -------------------------------------------------------------------------------------------------


def build_verifying() -> Any:
    """Return the receiver without its last step: a verified and parsed event is answered and not stored.

    It records outcomes as the complete one does, in a store of its own.
    """
    from airflow_provider_toggl.core.clock import SystemClock
    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
    from airflow_provider_toggl.core.webhooks.app import Receiver
    from airflow_provider_toggl.core.webhooks.connection_cache import ConnectionCache
    from airflow_provider_toggl.core.webhooks.delivery import STORED, ReceivingConnection, read_delivery
    from airflow_provider_toggl.core.webhooks.handler import Reply, RequestHandler, RequestLimits, build_reply

    answer = build_reply(STORED)
    connection = ReceivingConnection("toggl_default", (SECRET,))

    class VerifyingHandler(RequestHandler):
        async def store(self, connection: ReceivingConnection, raw: bytes) -> Reply:
            read_delivery(connection, raw, datetime.now(timezone.utc))
            return answer

    class VerifyingReceiver(Receiver):
        def build_handler(self) -> RequestHandler:
            connections = ConnectionCache([connection.conn_id], lambda _: connection)
            return VerifyingHandler(connections, open_store, RequestLimits(), SystemClock())

    def open_store(_: str) -> Any:
        return SqliteEventStore(Path(os.environ["AIRFLOW_HOME"]) / "verifying.sqlite")

    return VerifyingReceiver([connection.conn_id], lambda _: connection, open_store)


def serve_verifying(port: int) -> None:
    """Serve it as the command ``receiver`` serves the complete one."""
    from airflow_provider_toggl.cli.receiver import build_server

    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    build_server(build_verifying(), listener, ["toggl_default"]).run([listener])


def measure_standalone(others: dict[str, str], seconds: float, turns: int) -> tuple[dict[str, Any], Turns]:
    """Measure the command ``receiver`` and the same application that only verifies.

    :param others: URLs of more servers to measure in turns with them.
    :returns: the figures, and the peer's turns.
    """
    with tempfile.TemporaryDirectory() as folder:
        home, durable, verifying = Path(folder), free_port(), free_port()
        commands = [
            [sys.executable, "-m", "airflow_provider_toggl", "receiver", "--port", str(durable)],
            [sys.executable, __file__, "--serve", "verifying", "--port", str(verifying)],
        ]
        with running(commands, environment(home), [durable, verifying]):
            urls = {
                "verifying": f"http://127.0.0.1:{verifying}/toggl/webhooks/toggl_default",
                "durable": f"http://127.0.0.1:{durable}/toggl/webhooks/toggl_default",
            }
            turned = take_turns(urls | others, seconds, turns)
        return compare(turned, ids_of_store(home)), turned.get("peer", [])


def measure_api_server(others: dict[str, str], seconds: float, turns: int) -> tuple[dict[str, Any], Turns]:
    """Measure the receiver in Airflow's API server, and the same application there that only verifies.

    :param others: URLs of more servers to measure in turns with them.
    :returns: the figures, and the peer's turns.
    """
    with tempfile.TemporaryDirectory() as folder:
        plugins = Path(folder) / "plugins"
        plugins.mkdir()
        (plugins / "verifying.py").write_text(VERIFYING_PLUGIN)
        home = Path(folder) / "airflow"
        env = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins), **settings()}
        with api_server(home, env) as url:
            urls = {
                "verifying": f"{url}/verifying/webhooks/toggl_default",
                "durable": f"{url}/toggl/webhooks/toggl_default",
            }
            turned = take_turns(urls | others, seconds, turns)
        return compare(turned, ids_of_store(home)), turned.get("peer", [])


@contextmanager
def running_peer(python: str, home: Path) -> Iterator[dict[str, Any]]:
    """Run the peer in Airflow's API server within the block, and give its name, version and URL, if it is installed."""
    if not Path(python).exists():
        yield {}
        return
    command = [python, __file__, "--serve", "peer", "--home", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = next(iter(process.stdout or ()), None)
            if line is None:
                raise RuntimeError(f"The peer's API server did not start: {shlex.join(command)}")
            yield json.loads(line)
        finally:
            # The server ends with its input.
            process.communicate(timeout=60)


def serve_peer(home: Path) -> None:
    """Print the peer's name, version and URL, and serve until the input ends; runs in the peer's environment."""
    from importlib.metadata import version

    extra = {
        "source_type": "hmac_json",
        "signature_header": HEADER,
        "signature_prefix": "sha256=",
        "event_field": "metadata.action",
        "delivery_id_field": "event_id",
    }
    connection = {"conn_type": "inbound_webhook", "password": SECRET, "extra": extra}
    env = {
        "AIRFLOW_CONN_WEBHOOK_TOGGL": json.dumps(connection),
        "AIRFLOW__INBOUND_WEBHOOKS__WEBHOOK_NAMES": "toggl",
    }
    with api_server(home, env) as url:
        print(json.dumps({"name": PEER, "version": version(PEER), "url": f"{url}/webhooks/toggl"}), flush=True)
        sys.stdin.read()


# -- how it is measured -----------------------------------------------------------------------------------------------


def take_turns(urls: dict[str, str], seconds: float, turns: int) -> dict[str, Turns]:
    """Send to each address in turn, and return the measurements by name; the first turn of each is a warm-up."""
    turned: dict[str, Turns] = {name: [] for name in urls}
    for turn in range(turns + 1):
        for name, url in urls.items():
            turned[name].append(send(url, seconds if turn else min(1.0, seconds)))
    return turned


def send(url: str, seconds: float) -> dict[str, Any]:
    """Send for so many seconds and return the sender's measurements."""
    order = {
        "url": url,
        "secret": SECRET,
        "connections": CONNECTIONS,
        "first_id": next(_FIRST_IDS),
        "seconds": seconds,
        "header": HEADER,
    }
    program = [sys.executable, str(ROOT / "benchmarks" / "harness" / "webhook_load.py")]
    done = subprocess.run(program, input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def compare(turned: dict[str, Turns], stored: Counter[int]) -> dict[str, Any]:
    """Return the medians of each name's turns, and the ratios of stored deliveries to verified ones and the peer's.

    :param stored: how often each event is in the receiver's store.
    """
    result: dict[str, Any] = {name: summarize(turned[name]) for name in ("verifying", "durable")}
    result["durable_of_verifying"] = round(median_ratio(turned["durable"], turned["verifying"]), 3)
    if "peer" in turned:
        result["durable_times_peer"] = round(median_ratio(turned["durable"], turned["peer"]), 3)
    ids = [event_id for turn in turned["durable"] for event_id in turn["taken"]]
    return {**result, "looked_up": look_up(ids, stored)}


def summarize(turns: Turns) -> dict[str, Any]:
    """Return the medians of turns without the warm-up, and how often each status was answered."""
    measured = turns[1:]
    keys = ("per_second", "p50_ms", "p99_ms")
    medians: dict[str, Any] = {key: statistics.median(turn[key] for turn in measured) for key in keys}
    return {**medians, "statuses": dict(sum((Counter(turn["statuses"]) for turn in measured), Counter()))}


def median_ratio(ours: Turns, others: Turns) -> float:
    """Return the median of the ratios of deliveries a second, turn by turn."""
    pairs = zip(ours[1:], others[1:], strict=True)
    return statistics.median(one["per_second"] / other["per_second"] for one, other in pairs)


def look_up(taken: list[int], stored: Counter[int]) -> dict[str, int]:
    """Return how many of the ids that were answered 2xx are stored once, not at all, or more than once."""
    times = Counter(min(stored[event_id], 2) for event_id in taken)
    return {"answered_2xx": len(taken), "stored_once": times[1], "missing": times[0], "stored_again": times[2]}


def ids_of_peer(home: Path) -> Counter[int]:
    """Return how often each event is in the peer's table."""
    with sqlite3.connect(home / "airflow.db") as db:
        return Counter(int(row[0]) for row in db.execute("select delivery_id from inbound_webhooks_delivery"))


def ids_of_store(home: Path) -> Counter[int]:
    """Return how often each event is in the event store of an Airflow home."""
    with sqlite3.connect(home / "toggl" / "events.sqlite") as db:
        return Counter(int(row[0]) for row in db.execute("select event_id from events"))


# -- the servers ------------------------------------------------------------------------------------------------------


def settings() -> dict[str, str]:
    """Return the receiver's part of the environment."""
    connection = {"conn_type": "toggl", "extra": {"webhook_secret": SECRET}}
    return {
        "AIRFLOW_CONN_TOGGL_DEFAULT": json.dumps(connection),
        "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "toggl_default",
    }


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a process with its own Airflow home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return {**kept, "AIRFLOW_HOME": str(home), **settings()}


@contextmanager
def running(commands: list[list[str]], env: dict[str, str], ports: list[int]) -> Iterator[None]:
    """Run processes within the block, which starts when all ports listen."""
    processes = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for command in commands]
    try:
        for port in ports:
            wait_for(port)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


@contextmanager
def api_server(home: Path, env: dict[str, str]) -> Iterator[str]:
    """Run Airflow's API server, with one worker, within the block, and give its address."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.airflow_home import AirflowHome

    login = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": os.environ.get("BENCHMARK_ALL_ADMINS", "False")}
    with AirflowHome(home, env={**login, **env}) as airflow:
        airflow.cli("db", "migrate")  # the tables of other providers
        airflow.start("api-server")
        yield airflow.url.replace("localhost", "127.0.0.1")


def free_port() -> int:
    """Return a free TCP port of this host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, *, timeout: float = 60) -> None:
    """Wait until something listens on a port."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
