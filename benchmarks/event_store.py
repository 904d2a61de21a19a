"""The event store in both engines: how many events are stored per second, and how soon waits for them end.

For the second part a separate process stores events, as a receiver does. PostgreSQL is a real server with default
settings, on the same disk as the SQLite file.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.event_stores import StoreLocation
from support.servers.postgres import running_postgres
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import Follower, TailReader

GROUP = 32
LEAST_PER_SECOND = {"postgres": 20_000}
LONGEST_P99 = {"sqlite": 50.0, "postgres": 20.0}
"""Milliseconds from the return of an append to the end of a wait."""
PAUSE = 0.02
"""Seconds between two events of a writing process; a random time is added, so that no poll is in step with them."""
SETTLE = 0.5


def make_events(count: int, *, skip: int = 0) -> list[NewEvent]:
    """Return events as the receiver builds them, with bodies of the usual size."""
    now, text = datetime.now(timezone.utc), "Besprechung " * 20
    return [
        received_event(
            webhook_body(action="updated", payload=entry_payload(number, description=text), seconds=number),
            received_at=now,
        )
        for number in range(skip + 1, skip + count + 1)
    ]


@contextmanager
def places() -> Iterator[list[StoreLocation]]:
    """Yield a place of each engine."""
    with tempfile.TemporaryDirectory() as folder, running_postgres() as server:
        yield [StoreLocation("sqlite", str(Path(folder) / "events.sqlite")), StoreLocation("postgres", server.dsn)]


def measure_append(place: StoreLocation, count: int, singles: int) -> dict[str, Any]:
    """Return events per second, in transactions of 32 events and of one."""
    events = make_events(count + singles)
    with place.open() as store:
        begin = time.perf_counter()
        for first in range(0, count, GROUP):
            store.append(events[first : min(first + GROUP, count)])
        grouped = time.perf_counter() - begin
        begin = time.perf_counter()
        for one in events[count:]:
            store.append([one])
        single = time.perf_counter() - begin
        if store.count() != len(events):
            raise SystemExit(f"{store.count()} of {len(events)} events are in the store")
    return {
        "events": count,
        "bytes_per_event": round(sum(len(one.body) for one in events) / len(events)),
        "events_per_second": round(count / grouped),
        "events_per_second_one_a_transaction": round(singles / single),
        "milliseconds_a_transaction": round(grouped / (count / GROUP) * 1000, 2),
    }


@contextmanager
def writer(place: StoreLocation, count: int, first: int) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that stores events one by one and prints the time of each."""
    order = json.dumps({**asdict(place), "count": count, "first": first})
    command = [sys.executable, __file__, "--work", order]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise SystemExit("The writing process did not start.")
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    """Start the writing."""
    if process.stdin is not None:
        process.stdin.write("\n")
        process.stdin.flush()


def stored_at(process: subprocess.Popen[str]) -> dict[int, float]:
    """Return when each event was stored, by its number."""
    return {int(seq): moment for seq, moment in json.loads(process.stdout.read() if process.stdout else "")}


def work(order: dict[str, Any]) -> None:
    """Store events one by one and print the time of each, by the clock that all processes share."""
    place = StoreLocation(order["engine"], order["where"], order["schema"])
    events = make_events(order["count"], skip=order["first"])
    moments = []
    with place.open() as store:
        print("ready", flush=True)
        sys.stdin.readline()
        time.sleep(SETTLE)
        for number, one in enumerate(events):
            (appended,) = store.append([one])
            moments.append((appended.seq, time.monotonic()))
            time.sleep(PAUSE * (1 + number % 7 / 7))
    print(json.dumps(moments))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}


def measure_wait(place: StoreLocation, count: int, first: int) -> dict[str, Any]:
    """Return the milliseconds from the return of an append in one process to the end of a wait in another."""
    with place.open() as store, writer(place, count, first) as process:
        last, ended = store.last_seq(), {}
        go(process)
        for seq in range(last + 1, last + count + 1):
            if not store.wait(seq - 1, 60):
                raise SystemExit("An event did not come.")
            ended[seq] = time.monotonic()
        stored = stored_at(process)
    return percentiles([max(0.0, ended[seq] - moment) for seq, moment in stored.items()])


class CountedStore:
    """Counts the calls of a tail."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.asked[name] += 1
        return getattr(self._store, name)


def measure_tail(place: StoreLocation, subscribers: int, count: int, first: int) -> dict[str, Any]:
    """Return the store calls of a tail per event, and the delay until the last of its subscribers has an event."""
    with place.open() as store, writer(place, count, first) as process:
        counted = CountedStore(store)
        begin = time.monotonic()
        ended = asyncio.run(follow(counted, subscribers, store.last_seq(), count, process))
        seconds = time.monotonic() - begin
        stored = stored_at(process)
    return {
        "subscribers": subscribers,
        "store_calls_per_second": round(counted.asked.total() / seconds, 1),
        "store_calls_per_event": round(counted.asked.total() / count, 2),
        "to_the_last_subscriber": percentiles([max(0.0, ended[seq] - moment) for seq, moment in stored.items()]),
    }


async def follow(
    store: Any, subscribers: int, after: int, count: int, process: subprocess.Popen[str]
) -> dict[int, float]:
    """Return when the last subscriber had each event."""
    ended: dict[int, float] = {}

    async def take(subscription: Follower) -> None:
        async for batch in subscription:
            for stored in batch.events:
                ended[stored.seq] = time.monotonic()
            if batch.last_seq >= after + count:
                return

    with TailReader(store) as tail, ExitStack() as stack:
        tasks = [asyncio.ensure_future(take(stack.enter_context(tail.subscribe(after)))) for _ in range(subscribers)]
        go(process)
        await asyncio.gather(*tasks)
    await asyncio.to_thread(tail.join)
    return ended


def measure(place: StoreLocation, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one engine."""
    append = measure_append(place, options.events, options.singles)
    first = options.events + options.singles
    wait = measure_wait(place, options.waits, first)
    first += options.waits
    tails = []
    for subscribers in (1, 100, 1000):
        tails.append(measure_tail(place, subscribers, options.waits, first))
        first += options.waits
    fast_enough = append["events_per_second"] >= LEAST_PER_SECOND.get(place.engine, 0)
    return {
        "engine": place.engine,
        "append": append,
        "append_to_wait": wait,
        "tail": tails,
        "ok": fast_enough and wait["p99_ms"] <= LONGEST_P99[place.engine],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both engines, print JSON, and return 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40_000, help="to store in groups (default: %(default)s)")
    parser.add_argument("--singles", type=int, default=1_000, help="to store one by one (default: %(default)s)")
    parser.add_argument("--waits", type=int, default=300, help="to wait for, each time (default: %(default)s)")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        work(json.loads(options.work))
        return 0
    with places() as each:
        runs = [measure(place, options) for place in each]
    result = {
        "benchmark": "event_store",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "limits": {"events_per_second": LEAST_PER_SECOND, "append_to_wait_p99_ms": LONGEST_P99},
        "runs": runs,
        "ok": all(run["ok"] for run in runs),
    }
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
