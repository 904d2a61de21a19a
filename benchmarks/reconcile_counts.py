"""The requests that a reconciliation of a year needs, unchanged and after 50 deletions and 50 edits.

Each workspace is served by the sandbox in this process and pulled into a new DuckDB file; then it is reconciled,
changed by 50 scattered deletions and 50 late edits that no webhook reports, and reconciled again. The warehouse is
compared with the truth of the sandbox. The result has the pages of a full read for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest
from airflow_provider_toggl.core.reconcile.run import Reconcile
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

SEED = 7
DAYS = 360
CHANGES = 50
PAGE = 1000
#: Requests at most of an unchanged year, and after the changes with ids; without ids two for each day that differs.
#: Each further page of changes within the overlap, a day by default, comes on top.
UNCHANGED, WITH_IDS, EACH_DAY, BESIDE_DAYS = 3, 8, 2, 8
#: What reading 10,000 entries cost tap-toggl itself, which has no other way to find a deletion and marks none; run once
#: against a simulated Reports v2, and not measured again.
TAP_TOGGL = {
    "measured": "tap-toggl 2.1.0, 50 rows a page, 30-day windows, simulated server",
    "entries_10000": [223, 236],
}


def measure(entries: Iterable[int], ids: Iterable[bool] = (True, False)) -> dict[str, Any]:
    """Reconcile workspaces of these sizes, with IDs in summaries and without; return the requests."""
    runs = [_measure_one(count, gives_ids) for count in entries for gives_ids in ids]
    return {
        "benchmark": "reconcile_counts",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "version": __version__,
        "limits": {
            "unchanged": UNCHANGED,
            "with_ids": WITH_IDS,
            "without_ids": "2 a day that differs, and 8",
            "overlap": "and its further pages",
        },
        "runs": runs,
        "tap_toggl": TAP_TOGGL,
        "ok": all(run["ok"] for run in runs),
    }


def _measure_one(entries: int, gives_ids: bool) -> dict[str, Any]:
    settings = Settings()
    settings.update({"quota_enforced": False, "plan": "premium", "summary_gives_ids": gives_ids})
    world = build_world(seed=SEED, entries=entries, days=DAYS, settings=settings)
    _leave_what_sums_prove(world)
    with RunningSandbox(world) as sandbox, tempfile.TemporaryDirectory() as folder:
        host = _Host(sandbox, Path(folder) / "warehouse.duckdb")
        host.pull()
        unchanged = host.reconcile()
        sandbox.advance(10)
        gone = sandbox.mutate(seed=SEED, n=CHANGES, kinds=["delete_entry"])
        sandbox.mutate(seed=SEED, n=CHANGES, kinds=["late_edit"])
        days = len({world.time_entries[row["id"]].start.date() for row in gone})
        changed = host.reconcile()
        right = host.is_right(world)
        again = host.reconcile()
    more = max(0, _pages_of_overlap(world) - 1)
    most = more + (WITH_IDS if gives_ids else EACH_DAY * days + BESIDE_DAYS)
    kept = max(unchanged["requests"], again["requests"]) <= UNCHANGED + more and changed["requests"] <= most
    return {
        "entries": entries,
        "summary_gives_ids": gives_ids,
        "unchanged": unchanged,
        "changed": changed,
        "again": again,
        "days_with_deletions": days,
        "further_pages_of_overlap": more,
        "limit_of_changed": most,
        "reading_all_again": -(-entries // PAGE),
        "peak_megabytes_with_the_sandbox": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "right": right,
        "ok": kept and right,
    }


def _pages_of_overlap(world: World) -> int:
    """Return how many pages of changes a run reads again: those within a day and the delay of reports."""
    since = world.now() - timedelta(days=1, minutes=30)
    return -(-sum(1 for entry in world.time_entries.values() if entry.at >= since) // PAGE)


def _leave_what_sums_prove(world: World) -> None:
    """Remove entries that run or have no duration: without IDs each page of them costs a request."""
    for entry in [entry for entry in world.time_entries.values() if entry.duration <= 0]:
        world.change(entry, {"stop": entry.start + timedelta(minutes=7), "duration": 420}, moves_at=False)


class _Host:
    """A host with a warehouse."""

    def __init__(self, sandbox: RunningSandbox, warehouse: Path) -> None:
        self._sandbox = sandbox
        self._warehouse = warehouse
        self._since = (datetime.now(timezone.utc) - timedelta(days=DAYS + 2)).date()

    def pull(self) -> None:
        """Load everything."""
        request = PullRequest(
            "time_entries", self._sandbox.workspace_id, datetime.now(timezone.utc), since=self._since, page_size=PAGE
        )
        with build_duckdb_warehouse(self._warehouse) as target:
            Pull(self._session(), target, request).run()

    def reconcile(self) -> dict[str, Any]:
        """Reconcile and return the requests."""
        request = ReconcileRequest(self._sandbox.workspace_id, datetime.now(timezone.utc), since=self._since)
        with build_duckdb_warehouse(self._warehouse) as target:
            summary = Reconcile(self._session(), target, request).run()
        kept = ("requests", "entries", "deleted", "edited", "added", "unverified", "seconds")
        return {name: value for name, value in summary.as_dict().items() if name in kept}

    def is_right(self, world: World) -> bool:
        """Whether the live entries of the warehouse are those of the sandbox, in their last version."""
        with duckdb.connect(str(self._warehouse), read_only=True) as db:
            query = "SELECT id, epoch(updated_at)::BIGINT, duration FROM toggl.live_time_entries"
            found = {row[0]: row[1:] for row in db.sql(query).fetchall()}
        live = [entry for entry in world.time_entries.values() if entry.deleted_at is None]
        return found == {entry.id: (int(entry.at.timestamp()), entry.duration) for entry in live}

    def _session(self) -> TogglSession:
        transport = RequestsTransport(self._sandbox.url, self._sandbox.token)
        return TogglSession(transport, RateLimitState(None, "benchmark"), pace=Pace(200.0), reserve=0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print JSON, and return 1 when a limit is passed or a row is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--entries", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="default: %(default)s"
    )
    result = measure(parser.parse_args(arguments).entries)
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
