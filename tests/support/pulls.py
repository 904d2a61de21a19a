"""Pull a sandbox's workspace into a DuckDB file, each time as a new run, and compare it with the truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from support import truth
from support.sandboxes import NOON, HostedSandbox, SandboxHost

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.retry import RetryPolicy
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import OutgoingRequest, RequestsTransport
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.run import Reconcile
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest, PullSummary
from airflow_provider_toggl.sandbox.rest_v9.writes.entries import delete_entry
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

STREAMS = truth.STREAMS
WORLD = ("seed", "users", "projects", "clients", "tags", "tasks", "groups", "timezone", "now")
QUICK = RetryPolicy(tries=3, base=0.001, cap=0.002)


def build_workspace(host: SandboxHost, path: Path, **how: Any) -> Workspace:
    """Serve a new world, see :func:`build_pull_world`.

    :param path: the warehouse.
    """
    return Workspace(host.serve(build_pull_world(**how)), path)


def build_pull_world(*, entries: int = 240, days: int = 60, **more: Any) -> World:
    """Build a world whose clock starts at noon of 10 March 2026, without a quota unless settings set one.

    :param more: parameters of ``build_world``, and settings of the sandbox.
    """
    world: dict[str, Any] = {"now": NOON} | {name: more.pop(name) for name in list(more) if name in WORLD}
    settings = Settings()
    settings.update({"quota_enforced": False, **more})
    return build_world(entries=entries, days=days, settings=settings, **world)


class ShiftedClock(SystemClock):
    """The clock of a machine that is some seconds ahead of the real time."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return super().now() + self.ahead


class Workspace:
    """A workspace of the sandbox, and the warehouse that it is pulled into.

    Runs use a clock that agrees with the world's. So no result depends on the time at which the tests run.
    """

    def __init__(self, toggl: HostedSandbox, path: Path) -> None:
        self.toggl = toggl
        self.path = path
        self.id = toggl.workspace_id
        self.clock = ShiftedClock(toggl.world.offset)

    def entries(self) -> list[TimeEntry]:
        """Return Toggl's live stopped entries that last a while, oldest first."""
        entries = [one for one in self.toggl.world.time_entries.values() if one.deleted_at is None]
        whole = [one for one in entries if one.stop is not None and one.duration > 600]
        return sorted(whole, key=lambda one: (one.start, one.id))

    def delete(self, *entries: TimeEntry) -> list[int]:
        """Delete entries in Toggl as their owner would, and return their ids."""
        for entry in entries:
            delete_entry(WriteRequest(self.toggl.world, self.toggl.world.owner), entry.id)
        return sorted(entry.id for entry in entries)

    def now(self) -> datetime:
        """Return the time by the clock of the runs."""
        return utc(self.clock.now())

    def session(self, *, before_call: Any = None, book: RateLimitState | None = None) -> TogglSession:
        """Return a session with a high rate and short waits between attempts.

        :param before_call: called before each request.
        """
        transport = RequestsTransport(self.toggl.url, self.toggl.token, self.clock)
        if before_call is not None:
            transport = _Watched(transport, before_call)
        book = book or RateLimitState(None, "test")
        return TogglSession(transport, book, pace=Pace(200), reserve=0, retry=QUICK, clock=self.clock)

    def request(
        self, stream: str = "time_entries", *, run_started: datetime | None = None, **options: Any
    ) -> PullRequest:
        """Return the request of a run that started now or at the given time."""
        started = run_started or self.now()
        return PullRequest(stream=stream, workspace_id=self.id, run_started=started, **options)

    def pull(
        self,
        stream: str = "time_entries",
        *,
        before_call: Any = None,
        session: TogglSession | None = None,
        summary: PullSummary | None = None,
        **options: Any,
    ) -> PullSummary:
        """Pull one stream."""
        session = session or self.session(before_call=before_call)
        with build_duckdb_warehouse(self.path, lock_timeout=0.2) as target:
            return Pull(session, target, self.request(stream, **options), summary=summary, clock=self.clock).run()

    def pull_all(self, **entries: Any) -> dict[str, PullSummary]:
        """Pull every stream; options are for the time entries."""
        return {name: self.pull(name, **(entries if name == "time_entries" else {})) for name in STREAMS}

    def reconcile(
        self,
        *,
        before_call: Any = None,
        session: TogglSession | None = None,
        run_started: datetime | None = None,
        summary: ReconcileSummary | None = None,
        rules: dict[str, Any] | None = None,
        **options: Any,
    ) -> ReconcileSummary:
        """Reconcile the time entries as a new run; ``rules`` are parameters of ``Rules``."""
        session = session or self.session(before_call=before_call)
        started = run_started or self.now()
        request = ReconcileRequest(self.id, started, rules=DeletionRules(**(rules or {})), **options)
        with build_duckdb_warehouse(self.path, lock_timeout=0.2) as target:
            return Reconcile(session, target, request, summary=summary, clock=self.clock).run()

    def wrong(self, *streams: str, with_deletions: bool = True) -> list[str]:
        """Return how the warehouse differs from the truth, in those streams or in all.

        :param with_deletions: False ignores time entries that were deleted in Toggl and are still in the table.
        """
        words: list[str] = []
        for stream in streams or STREAMS:
            if stream == "time_entries":
                words += truth.entry_differences(self.path, self.toggl.url, with_deletions=with_deletions)
            else:
                words += truth.entity_differences(self.path, self.toggl.url, stream)
        return words

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        return truth.rows(self.path, query)

    def content(self, stream: str = "time_entries") -> list[dict[str, Any]]:
        """Return the rows of a table without the times of their observation."""
        seen = {"observed_at", "seen_at"}
        found = self.rows(f"SELECT * FROM toggl.{stream} ORDER BY id") if self.path.exists() else []
        return [{name: value for name, value in row.items() if name not in seen} for row in found]

    def fingerprint(self, stream: str = "time_entries") -> tuple[Any, ...]:
        """Return a value that changes with the table and the progress of a stream."""
        table = f"SELECT * EXCLUDE (observed_at, seen_at) FROM toggl.{stream}"
        state = f"SELECT * FROM toggl.sync_state WHERE stream = '{stream}'"
        parts = (f"(SELECT [count(*), bit_xor(hash(t))] FROM ({query}) AS t)" for query in (table, state))
        return tuple(self.rows(f"SELECT {', '.join(parts)}")[0].values())

    def state(self, stream: str = "time_entries", scope: str | None = None) -> dict[str, Any] | None:
        """Return the stream's row in ``sync_state``."""
        found = self.rows(f"SELECT * FROM toggl.sync_state WHERE stream = '{stream}'") if self.path.exists() else []
        return next((row for row in found if row["scope"] == (scope or str(self.id))), None)

    def calls(self, path: str = "") -> list[dict[str, Any]]:
        """Return the sandbox's log of requests whose path contains this."""
        return [call for call in self.toggl.requests()["calls"] if path in call["path"]]

    def pages(self) -> list[dict[str, Any]]:
        """Return the bodies of the successful requests for time entries."""
        return [call["body"] for call in self.calls("/search/time_entries") if call["status"] == 200]


class _Watched:
    """A transport that calls a function before each request."""

    def __init__(self, transport: RequestsTransport, before_call: Any) -> None:
        self._transport = transport
        self._before_call = before_call

    def send(self, call: OutgoingRequest) -> Any:
        self._before_call(call)
        return self._transport.send(call)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Run as an ordinary user: file permissions do not bind root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)
