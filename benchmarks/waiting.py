"""Measure how soon a stored event fires a waiting trigger, and how many queries waiting costs.

Prints one JSON object.

- ``latency``: milliseconds from the commit of an event, by another process, to its trigger event, with 1,000 waiting
  sensors in one event loop, for each store.
- ``queries``: queries of the store a second, with 1, 100 and 1,000 waiting sensors.
- ``airflow``: seconds from an event to the start of its task, in a real Airflow, compared with a minimal
  ``AssetWatcher`` in the same Airflow. The two take turns.
"""

# ruff: noqa: PLC0415 - Airflow is imported by the parts that need it
from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.limits import Limit, report

ROOT = Path(__file__).parents[1]
LONGEST_P99 = {"sqlite": 50.0, "postgres": 20.0}
"""Milliseconds from commit to trigger event, by store."""
MOST_TIMES_THE_QUERIES = 1.5
"""Queries per second with 1,000 sensors, as a multiple of those with one."""
MOST_TIMES_THE_TOY = 1.1
"""Event to task start, as a multiple of the minimal watcher's."""
sys.path.insert(0, str(ROOT / "tests"))  # the events, the PostgreSQL and the Airflow of the tests

DAGS = """
import json, os, time
from pathlib import Path
from airflow.sdk import DAG, Asset, AssetWatcher, task
from airflow_provider_toggl.assets import toggl_events
from toy_trigger import ToyTrigger

def record(name):
    @task(task_id="record")
    def write():
        Path(os.environ["NOTES"], f"{name}.{time.time_ns()}").touch()
    write()

ours = toggl_events("benchmark", 4502339761)
toy = Asset("toy", watchers=[AssetWatcher(name="toy", trigger=ToyTrigger(path=os.environ["TOY"]))])
with DAG("ours", schedule=[ours], is_paused_upon_creation=False):
    record("ours")
with DAG("toy", schedule=[toy], is_paused_upon_creation=False):
    record("toy")
"""
TOY = """
import asyncio, os
from airflow.triggers.base import BaseEventTrigger, TriggerEvent

class ToyTrigger(BaseEventTrigger):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def serialize(self):
        return "toy_trigger.ToyTrigger", {"path": self.path}

    async def run(self):
        while True:
            if os.path.exists(self.path):
                os.unlink(self.path)
                yield TriggerEvent({})
            await asyncio.sleep(0.01)
"""


def main() -> int:
    """Measure the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--part", choices=["all", "latency", "queries", "airflow", "writer"], default="all")
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    if options.part == "writer":
        write_events(options.url, options.events)
        return 0
    parts: dict[str, Callable[[], Any]] = {
        "latency": lambda: measure_latency(options.events),
        "queries": measure_queries,
        "airflow": lambda: measure_airflow(options.turns),
    }
    chosen = parts if options.part == "all" else {options.part: parts[options.part]}
    with contextlib.redirect_stdout(sys.stderr):  # Airflow logs to standard output, which is for the result alone
        measured = {name: part() for name, part in chosen.items()}
    result = {"benchmark": "waiting", "cores": os.cpu_count(), **measured}
    return report(result, limits_of(result))


def limits_of(result: dict[str, Any]) -> list[Limit]:
    """Return the limits of the parts that were measured."""
    limits = []
    if "latency" in result:
        limits += [
            Limit(f"ms from commit to trigger event, p99, {store}", result["latency"][store]["p99"], at_most=most)
            for store, most in LONGEST_P99.items()
        ]
    if "queries" in result:
        one, most = result["queries"]["1"], max(result["queries"].values())
        limits.append(
            Limit("most queries of many sensors, times one's", round(most / one, 2), at_most=MOST_TIMES_THE_QUERIES)
        )
    if "airflow" in result:
        ratio = result["airflow"]["ratio_of_medians"]
        limits.append(Limit("event to task start, times a minimal watcher's", ratio, at_most=MOST_TIMES_THE_TOY))
    return limits


@contextlib.contextmanager
def stores(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the addresses of an empty store of each engine: a file, and a server."""
    from support.servers.postgres import running_postgres

    with running_postgres() as server:
        yield {"sqlite": str(folder / "events.sqlite"), "postgres": server.dsn}


def open_store(url: str) -> Any:
    """Open the store at an address."""
    from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

    store = SqliteEventStore(url) if url.startswith("/") else PostgresEventStore(url)
    store.prepare()
    return store


def write_events(url: str, events: int) -> None:
    """Append events one by one, 10 ms apart, each of a project of its own, and print when each was committed."""
    from support.webhook_events import change_event

    with open_store(url) as store:
        for number in range(events):
            event = change_event(number + 1, project_id=number)
            store.append([event])
            print(time.monotonic_ns(), flush=True)
            time.sleep(0.01)


def measure_latency(events: int) -> dict[str, Any]:
    """Return percentiles for each store."""
    with tempfile.TemporaryDirectory() as folder, stores(Path(folder)) as urls:
        return {name: percentiles(asyncio.run(wait_for_all(url, events))) for name, url in urls.items()}


async def wait_for_all(url: str, events: int, settle: float = 5.0) -> list[float]:
    """Return the milliseconds from each commit to its trigger event, one trigger waiting for each.

    A trigger may fire before the commit has returned in the other process. That counts as 0.

    :param settle: seconds until all triggers wait.
    """
    fired: dict[int, int] = {}

    async def wait(trigger: Any) -> None:
        async for event in trigger.run():
            fired[event.payload["seq"]] = time.monotonic_ns()

    with connection_to(url):
        waiting = [asyncio.create_task(wait(build_trigger(number))) for number in range(events)]
        await asyncio.sleep(settle)
        command = [sys.executable, __file__, "--part", "writer", "--url", url, "--events", str(events)]
        writer = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await writer.communicate()
        await asyncio.wait_for(asyncio.gather(*waiting), 60)
    committed = [int(line) for line in output.split()]
    return [max(0, fired[seq] - moment) / 1e6 for seq, moment in enumerate(committed, 1)]


def build_trigger(project: int) -> Any:
    """Return a trigger that waits for an event of one project."""
    from airflow_provider_toggl.triggers.events import TogglEventTrigger

    return TogglEventTrigger(event_store_conn_id="measured", event_filter={"project_ids": project}, after=0, once=True)


@contextlib.contextmanager
def connection_to(url: str) -> Iterator[None]:
    """Define the Airflow connection ``measured`` of a store."""
    connection: dict[str, Any] = {"conn_type": "sqlite", "host": url}
    if not url.startswith("/"):
        import psycopg

        parts = psycopg.conninfo.conninfo_to_dict(url)
        fields = {"host": "host", "port": "port", "user": "login", "password": "password", "dbname": "schema"}
        connection = {
            "conn_type": "postgres",
            **{fields[name]: value for name, value in parts.items() if name in fields},
        }
    os.environ["AIRFLOW_CONN_MEASURED"] = json.dumps(connection)
    yield
    del os.environ["AIRFLOW_CONN_MEASURED"]


def measure_queries(seconds: float = 5.0) -> dict[str, Any]:
    """Return calls of the store a second, by number of sensors, while events come that match none of them."""
    return {str(sensors): asyncio.run(count_queries(sensors, seconds)) for sensors in (1, 100, 1000)}


async def count_queries(sensors: int, seconds: float, settle: float = 5.0) -> float:
    """Count the calls of a SQLite store by the triggers of this process once all of them wait."""
    from support.webhook_events import change_event

    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

    counted = 0

    def count(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal counted
            counted += 1
            return original(*args, **kwargs)

        return call

    names = ("read", "wait", "last_seq", "find_consumer", "commit", "get")
    originals = {name: getattr(SqliteEventStore, name) for name in names}

    async def wait(trigger: Any) -> None:
        async for _ in trigger.run():
            pass

    with tempfile.TemporaryDirectory() as folder, connection_to(f"{folder}/events.sqlite"):
        with open_store(f"{folder}/events.sqlite") as store:
            waiting = [asyncio.create_task(wait(build_trigger(10**12 + number))) for number in range(sensors)]
            await asyncio.sleep(settle)
            for name, original in originals.items():
                setattr(SqliteEventStore, name, count(original))
            for number in range(round(seconds * 10)):
                await asyncio.to_thread(store.append, [change_event(number + 1, project_id=1)])
                await asyncio.sleep(0.1)
            for name, original in originals.items():
                setattr(SqliteEventStore, name, original)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return round(counted / seconds, 1)


def measure_airflow(turns: int) -> dict[str, Any]:
    """Return the seconds from event to task start for our watcher and the minimal one, in turns in one Airflow."""
    from support.airflow_home import AirflowHome
    from support.webhook_events import change_event

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for name in ("dags", "notes", "plugins"):
            (path / name).mkdir()
        (path / "dags" / "measured.py").write_text(DAGS)
        (path / "plugins" / "toy_trigger.py").write_text(TOY)
        env = {
            "NOTES": str(path / "notes"),
            "TOY": str(path / "toy"),
            "PYTHONPATH": str(path / "plugins"),
            "AIRFLOW_CONN_TOGGL_DEFAULT": '{"conn_type": "toggl"}',
        }
        with AirflowHome(path / "airflow", dags=path / "dags", env=env) as home:
            home.start()
            with open_store(str(home.path / "toggl" / "events.sqlite")) as store:
                home.wait_until(
                    lambda: store.find_consumer("toggl://4502339761/events/benchmark"), timeout=120, what="our watcher"
                )
                acts: dict[str, Callable[[int], Any]] = {
                    "ours": lambda turn: store.append([change_event(turn + 1)]),
                    "toy": lambda _: (path / "toy").touch(),
                }
                seconds: dict[str, list[float]] = {name: [] for name in acts}
                for turn in range(-3, turns):  # the first ones warm up
                    for name in sorted(acts, reverse=turn % 2 == 0):
                        act = acts[name]
                        took = time_task(home, path / "notes", name, lambda act=act, turn=turn: act(turn + 3))
                        if turn >= 0:
                            seconds[name].append(took)
                        # Airflow's loops wait for up to a second: each turn begins at another moment of one.
                        time.sleep(1 + (turn % turns) / turns)
    found = {name: percentiles(values, 3) for name, values in seconds.items()}
    return {**found, "ratio_of_medians": round(found["ours"]["p50"] / found["toy"]["p50"], 3), "turns": turns}


def time_task(home: Any, notes: Path, name: str, act: Callable[[], Any]) -> float:
    """Run ``act`` and return the seconds until its task has started."""
    known = set(notes.iterdir())
    began = time.time_ns()
    act()
    home.wait_until(lambda: set(notes.iterdir()) - known, timeout=60, what=f"the task of {name}")
    (found,) = set(notes.iterdir()) - known
    return (int(found.suffix[1:]) - began) / 1e9


def percentiles(values: list[float], digits: int = 1) -> dict[str, float]:
    """Return the median, the 99th percentile and the maximum."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], digits), "p99": round(cuts[98], digits), "max": round(max(values), digits)}


if __name__ == "__main__":
    sys.exit(main())
