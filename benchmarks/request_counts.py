"""The requests that loading a workspace of 10,000 entries into DuckDB needs, and later loading its changes.

``night`` loads all streams of a workspace with 40 people and 200 projects after a day with changes of every kind that
the sandbox makes by itself, and one change of a rate.

The sandbox runs in a process of its own and counts requests. Each first load begins with an empty warehouse and an
empty rate-limit state; the loaded rows are compared with the truth of the sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.streams import STREAMS as ALL_STREAMS
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest
from airflow_provider_toggl.sandbox.server import SandboxClient, SandboxProcess, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

SEED = 7
#: About a year, and within one of its windows at every hour of the day.
DAYS = 363
CHANGES = 100
#: Requests at most where the server gives pages of 1000: time entries, and all eight streams.
LIMITS = {"first_load": {"time_entries": 12, "all": 24}, "changes": {"time_entries": 3, "all": 10}}
#: The workspace of the nightly run of all streams, and its requests at most.
NIGHT = {"users": 40, "projects": 200}
NIGHT_LIMIT = 25
RATE_CHANGES = 1
#: What the same load cost tap-toggl itself, run once against a simulated Reports v2, which the sandbox does not serve;
#: the larger number where that server takes page 0 for page 1.
TAP_TOGGL = {
    "measured": "tap-toggl 2.1.0, 50 rows a page, 30-day windows, against a simulated server",
    "first_load": {"time_entries": [223, 236]},
}
#: The eight streams that every plan has; settings of the workspace are no records.
STREAMS = tuple(name for name, stream in ALL_STREAMS.items() if not stream.needs and stream.form == "list")
_IDS = "SELECT id FROM toggl.{}"


def measure(
    *, entries: int = 10_000, page_sizes: Iterable[int] = (1000, 50), sinces: Iterable[bool] = (False, True)
) -> dict[str, Any]:
    """Load twice in every combination; return the counts and whether they are within the limits.

    :param page_sizes: rows that the server gives in a page at most; the limits are for 1000.
    :param sinces: whether the loads are given the first day of the history.
    """
    runs = [_measure_one(entries, page_size, with_since) for page_size in page_sizes for with_since in sinces]
    night = measure_night(entries)
    return {
        "benchmark": "request_counts",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "version": __version__,
        "entries": entries,
        "days": DAYS,
        "changes": CHANGES,
        "limits_at_pages_of_1000": LIMITS,
        "runs": runs,
        "night": night,
        "tap_toggl": TAP_TOGGL,
        "ok": night["ok"] and all(run["ok"] for run in runs),
    }


def measure_night(entries: int = 10_000) -> dict[str, Any]:
    """Load all streams, change records, load all again; return the counts of the second time."""
    settings = Settings()
    settings.update({"plan": "premium", "quota_enforced": False, "bucket_enforced": False})
    world = start_sandbox(settings=settings, seed=SEED, entries=entries, days=DAYS, **NIGHT)
    with world as sandbox, tempfile.TemporaryDirectory() as folder:
        host = _Host(sandbox, Path(folder), streams=ALL_STREAMS)
        first = host.load()
        sandbox.mutate(seed=SEED, n=CHANGES)
        sandbox.mutate(seed=SEED, n=RATE_CHANGES, kinds=["change_rate"])
        night = host.load()
        complete = host.is_complete()
    return {
        **NIGHT,
        "streams": len(ALL_STREAMS),
        "changes": CHANGES,
        "rate_changes": RATE_CHANGES,
        "first_load": first["all"],
        **night,
        "limit": NIGHT_LIMIT,
        "complete": complete,
        "ok": complete and night["all"] <= NIGHT_LIMIT,
    }


def _measure_one(entries: int, page_size: int, with_since: bool) -> dict[str, Any]:
    arguments = ["--seed", str(SEED), "--entries", str(entries), "--days", str(DAYS), "--plan", "premium"]
    with SandboxProcess(arguments) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.set(quota_enforced=False, bucket_enforced=False, largest_page_size=page_size)
        since = datetime.now(timezone.utc).date() - timedelta(days=DAYS) if with_since else None
        host = _Host(sandbox, Path(folder), since)
        first = host.load()
        complete = host.is_complete()
        sandbox.mutate(seed=SEED, n=CHANGES)
        changes = host.load()
        complete = complete and host.is_complete()
    counts = {"first_load": first, "changes": changes}
    kept = page_size < 1000 or all(
        counts[job][what] <= most for job, limits in LIMITS.items() for what, most in limits.items()
    )
    return {
        "page_size": page_size,
        "since": "given" if with_since else "unset",
        **counts,
        "complete": complete,
        "ok": kept and complete,
    }


class _Host:
    """A host with a warehouse and a rate-limit state; each load is a run of its own."""

    def __init__(
        self, sandbox: SandboxClient, folder: Path, since: date | None = None, streams: Sequence[str] = STREAMS
    ) -> None:
        self._sandbox = sandbox
        self._since = since
        self._streams = streams
        self._warehouse = folder / "warehouse.duckdb"
        self._book = folder / "quota.sqlite"

    def load(self) -> dict[str, Any]:
        """Load all streams and return the requests of each."""
        counts = {stream: self._load_one(stream) for stream in self._streams}
        return {"time_entries": counts["time_entries"], "all": sum(counts.values()), "by_stream": counts}

    def is_complete(self) -> bool:
        """Whether all live records of the sandbox are in the warehouse, time entries in their last version."""
        with duckdb.connect(str(self._warehouse), read_only=True) as db:
            missing = sum(
                len(self._live_ids(stream) - set(db.sql(_IDS.format(stream)).fetchall()))
                for stream in self._streams
                # Its first load goes back a month only.
                if stream != "timesheet_history"
            )
            versions = dict(db.sql("SELECT id, epoch(updated_at)::BIGINT FROM toggl.time_entries").fetchall())
        entries = self._sandbox.truth("time_entries")
        stale = [row for row in entries if not row["deleted_at"] and versions.get(row["id"]) != _second_of(row["at"])]
        return not missing and not stale

    def _live_ids(self, stream: str) -> set[tuple[int]]:
        return {(row["id"],) for row in self._sandbox.truth(stream) if not row["deleted_at"]}

    def _load_one(self, stream: str) -> int:
        self._sandbox.reset_requests()
        transport = RequestsTransport(self._sandbox.url, self._sandbox.token)
        book = RateLimitState(self._book, hash_token(self._sandbox.url, self._sandbox.token))
        session = TogglSession(transport, book, pace=Pace(200.0), reserve=0)
        request = PullRequest(
            stream=stream,
            workspace_id=self._sandbox.workspace_id,
            run_started=datetime.now(timezone.utc),
            since=self._since if stream == "time_entries" else None,
        )
        with build_duckdb_warehouse(self._warehouse) as target:
            target.prepare()
            Pull(session, target, request).run()
        transport.close()
        total: int = self._sandbox.requests()["total"]
        return total


def _second_of(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp())


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return 1 when a limit is passed or a row is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000, help="default: %(default)s")
    result = measure(entries=parser.parse_args(arguments).entries)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
