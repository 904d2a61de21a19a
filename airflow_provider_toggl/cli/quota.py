"""``quota``: what is left of a token's hourly quota, and when it resets."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict

from airflow_provider_toggl.cli.output import others_to_stderr
from airflow_provider_toggl.core.api.quota import Lane
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.errors import TogglError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Ask Toggl (one request) and print what is left in each lane; return the exit code."""
    # Otherwise connections in the metadata database are not found: `airflow connections` sets the same.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with others_to_stderr():
        from airflow_provider_toggl.hooks.toggl import SOON, TogglHook  # noqa: PLC0415 - loads Airflow

        try:
            lanes = TogglHook(args.conn_id, retry=SOON).get_conn().read_quota()
        except TogglError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps({name: asdict(lane) for name, lane in lanes.items()}) if args.json else table(lanes))
    return 0


def table(lanes: dict[str, Lane]) -> str:
    """Return the lanes as text, one a line."""
    now = SystemClock().now()
    lines = [f"{'lane':<28} {'left':>6} {'of':>6}  resets"]
    for name, lane in sorted(lanes.items()):
        resets = "with the first request" if lane.resets_at is None else f"at {utc(lane.resets_at):%H:%M:%S} UTC"
        minutes = "" if lane.resets_at is None else f" (in {max(0.0, lane.resets_at - now) / 60:.0f} min)"
        lines.append(f"{name:<28} {lane.remaining!s:>6} {lane.total!s:>6}  {resets}{minutes}")
    return "\n".join(lines)
