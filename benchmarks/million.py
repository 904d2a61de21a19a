"""A first load of a million entries with the quota of the free plan, by a process that is killed several times.

The sandbox allows 30 requests per window; a window is a few seconds. A child process pulls until the quota is used up,
where a task would defer, or until it is killed with SIGKILL. The next one starts after the reset. In the end the
warehouse is compared with the truth of the sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

import duckdb
import msgspec
import requests

from airflow_provider_toggl.core.client.limits import leaky_bucket, state
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import OutgoingRequest, RequestsTransport
from airflow_provider_toggl.core.errors import QuotaExhausted
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest
from airflow_provider_toggl.sandbox.server import SandboxProcess

ENTRIES = 1_000_000
KILLS = 20
DAYS = 1000
SEED = 7
PAGE = 1000
WINDOW_SECONDS = 2.0
MOST_MEGABYTES = 450
#: Exit statuses of the child: all is read; the quota is used up until the moment that it prints.
DONE, DEFERRED = 0, 75
#: Pages at the begin and at the end whose times are compared.
SOME_PAGES = 100


def measure(
    *, entries: int = ENTRIES, kills: int = KILLS, days: int = DAYS, page_size: int = PAGE, seed: int = SEED
) -> dict[str, Any]:
    """Load all entries despite the quota and the kills; return the cost and whether all entries were loaded."""
    arguments = ["--seed", str(seed), "--entries", str(entries), "--days", str(days), "--plan", "free"]
    with SandboxProcess(arguments) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.set(quota_window_seconds=WINDOW_SECONDS, largest_page_size=page_size)
        load = _Load(sandbox, Path(folder), kills=kills, pages=entries // page_size, chance=random.Random(seed))
        started = time.monotonic()
        load.run()
        seconds = time.monotonic() - started
        asked = sandbox.requests()
        missing = _differences(sandbox, load.warehouse)
        size = load.warehouse.stat().st_size
    pages = [(call["body"]["start_date"], call["body"]["first_row_number"]) for call in asked["calls"]]
    twice = len(pages) - len(set(pages))
    result = {
        "benchmark": "million",
        "cores": os.cpu_count(),
        "entries": entries,
        "window_seconds": WINDOW_SECONDS,
        "seconds": round(seconds, 1),
        "requests": asked["total"],
        "refused_by_toggl": asked["by_status"].get("402", 0),
        "pages_asked_twice": twice,
        "kills": load.killed,
        "deferrals": load.deferrals,
        "peak_megabytes": round(load.peak_kilobytes / 1024),
        "file_megabytes": round(size / 1e6),
        "milliseconds_a_page": load.milliseconds_a_page(),
        "differences": missing,
    }
    enough = twice <= load.killed == kills and result["peak_megabytes"] <= MOST_MEGABYTES
    return {**result, "ok": not missing and enough and not result["refused_by_toggl"]}


class _Load:
    """The children of one load, one after the other."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, *, kills: int, pages: int, chance: random.Random) -> None:
        self.warehouse = folder / "warehouse.duckdb"
        self.killed = self.deferrals = 0
        self.peak_kilobytes = 0
        self._chance = chance
        self._sent = 0
        self._intervals: list[float] = []
        # A child is killed shortly after it sends the n-th request of all: while the page is read, decoded or loaded.
        self._marks = sorted(chance.sample(range(1, pages), kills))
        run_started = datetime.now(timezone.utc).isoformat()
        workspace = str(sandbox.workspace_id)
        self._command = [sys.executable, __file__, "--child", sandbox.url, sandbox.token, workspace, str(folder)]
        self._command.append(run_started)

    def run(self) -> None:
        """Start one child after the other until one has read everything."""
        while True:
            status, said = self._run_one()
            if status == DONE:
                return
            if status == DEFERRED:
                self.deferrals += 1
                time.sleep(max(0.0, float(said) - time.time()))
            elif status != -signal.SIGKILL:
                raise SystemExit(f"A pull ended with {status}: {said}")

    def milliseconds_a_page(self) -> dict[str, float]:
        """Return the median time between the requests of two pages, for the first and for the last pages."""
        some = min(SOME_PAGES, len(self._intervals) // 2)
        parts = {"first": self._intervals[:some], "last": self._intervals[-some:]}
        return {name: round(1000 * statistics.median(part), 1) for name, part in parts.items()}

    def _run_one(self) -> tuple[int, str]:
        child = subprocess.Popen(self._command, stdout=subprocess.PIPE)
        output = cast("IO[bytes]", child.stdout)
        sent_at, said = [], ""
        for line in output:
            self.peak_kilobytes = max(self.peak_kilobytes, peak_kilobytes(child.pid))
            if line != b"sent\n":
                said = line.decode().strip()
                continue
            sent_at.append(time.monotonic())
            self._sent += 1
            if self._marks and self._sent >= self._marks[0]:
                time.sleep(self._chance.uniform(0.0, 0.06))
                child.kill()
                break
        output.close()
        child.wait()
        if child.returncode == -signal.SIGKILL:
            self.killed += 1
            self._marks.pop(0)
        self._intervals += [later - earlier for earlier, later in pairwise(sent_at)]
        return child.returncode, said


def peak_kilobytes(pid: int) -> int:
    """Return the peak memory of a process, 0 if it has ended.

    ``wait4`` would include the memory of the parent at the time of the fork.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def pull(url: str, token: str, workspace_id: str, folder: str, run_started: str) -> int:
    """Pull until all is read or the quota is used up; print a line for each request that is sent."""
    # An hour is two seconds here, so the waits for requests of killed processes are shortened, too.
    state.LEASE_SECONDS, leaky_bucket.RESPONSE_TIMEOUT = 2.0, 0.5
    host = state.RateLimitState(Path(folder) / "quota.sqlite", state.hash_token(url, token))
    session = TogglSession(_PrintingTransport(url, token), host, pace=leaky_bucket.Pace(1000.0))
    request = PullRequest("time_entries", int(workspace_id), datetime.fromisoformat(run_started))
    with build_duckdb_warehouse(Path(folder) / "warehouse.duckdb") as target:
        try:
            Pull(session, target, request).run()
        except QuotaExhausted as stop:
            print(stop.resets_at.timestamp(), flush=True)
            return DEFERRED
    return DONE


class _PrintingTransport(RequestsTransport):
    """Prints a line when a request is sent."""

    def send(self, call: OutgoingRequest) -> Any:
        """Send it."""
        print("sent", flush=True)
        return super().send(call)


class _Entry(msgspec.Struct, gc=False):
    id: int
    start: datetime
    duration: int
    deleted_at: str | None


def _differences(sandbox: SandboxProcess, warehouse: Path) -> list[str]:
    """Return which of count, IDs and seconds by day differ from the truth of the sandbox."""
    body = requests.get(f"{sandbox.url}/sandbox/truth/time_entries", timeout=300).content
    count = ids = 0
    by_day: Counter[str] = Counter()
    for entry in msgspec.json.decode(body, type=list[_Entry]):
        if entry.deleted_at is None:
            count, ids = count + 1, ids ^ entry.id
            by_day[entry.start.date().isoformat()] += max(0, entry.duration)
    with duckdb.connect(str(warehouse), read_only=True) as db:
        db.execute("set TimeZone = 'UTC'")
        (found,) = db.sql("select count(*), bit_xor(id) from toggl.live_time_entries").fetchall()
        days = db.sql(
            "select start::date::varchar, sum(coalesce(duration, 0))::bigint from toggl.live_time_entries group by 1"
        ).fetchall()
    words = [] if found[0] == count else [f"{found[0]} rows and not {count}"]
    words += [] if found[1] == ids else ["the ids are others"]
    return words + ([] if Counter(dict(days)) == by_day else ["the seconds by day are others"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return 1 when something is missing or a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=KILLS, help="default: %(default)s")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        return pull(*options.child)
    result = measure(entries=options.entries, kills=options.kills)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
