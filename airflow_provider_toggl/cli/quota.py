"""``quota``: prints what is left of a token's hourly quota, when it resets, which tasks used it, and which wait."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import ClaimedShare
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Read the quota from Toggl (one request), print it and the waiting tasks, and return the exit code."""
    with use_airflow():
        from airflow_provider_toggl.hooks.activity import read_waiting  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.toggl import INTERACTIVE_RETRY, TogglHook  # noqa: PLC0415 - loads Airflow

        session = TogglHook(args.conn_id, retry=INTERACTIVE_RETRY).get_conn()
        try:
            lanes = session.read_quota()
        except (QuotaExhausted, RateLimited) as error:
            print(f"{error.what}. These numbers are the last ones known.", file=sys.stderr)
            lanes = session.lanes()
        shares = session.shares()
        waiting = read_waiting(args.conn_id)
    if args.json:
        found: dict[str, Any] = {name: asdict(lane) for name, lane in lanes.items()}
        more = {"requests_by_task": [asdict(one) for one in shares], "waiting": [one.as_dict() for one in waiting]}
        print(json.dumps(found | more))
    else:
        print("\n".join([table(lanes), *share_lines(shares), *waiting_lines(waiting)]))
    return 0


def share_lines(shares: Sequence[ClaimedShare]) -> Iterator[str]:
    """Yield the requests of the current windows by task as text."""
    if shares:
        yield ""
        yield f"{'requests of this window':<28} {'sent':>6} {'wanted':>6}  task, host"
    for one in shares:
        wanted = "any" if one.wanted is None else str(one.wanted)
        yield f"{one.lane:<28} {one.taken:>6} {wanted:>6}  {', '.join(filter(None, [one.task or 'no task', one.host]))}"


def waiting_lines(waiting: Sequence[WaitingTask]) -> Iterator[str]:
    """Yield the waiting tasks as text."""
    now = utc(SystemClock().now())
    for one in waiting:
        yield ""
        yield f"{one.task}" + (f", {one.stream}" if one.stream else "")
        yield from (f"  {line}" for line in one.lines(now))


def table(lanes: dict[str, Lane]) -> str:
    """Return the lanes as a table."""
    now = SystemClock().now()
    lines = [f"{'lane':<28} {'left':>6} {'of':>6}  resets"]
    for name, lane in sorted(lanes.items()):
        resets = "with the first request" if lane.resets_at is None else f"at {utc(lane.resets_at):%H:%M:%S} UTC"
        minutes = "" if lane.resets_at is None else f" (in {max(0.0, lane.resets_at - now) / 60:.0f} min)"
        lines.append(f"{name:<28} {lane.remaining!s:>6} {lane.total!s:>6}  {resets}{minutes}")
    return "\n".join(lines)
