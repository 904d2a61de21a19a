"""``status``: how each Toggl connection is, as the page in the UI shows it; needs no running Airflow."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping

from airflow_provider_toggl.cli.output import others_to_stderr
from airflow_provider_toggl.core.operate.health.facts import Health, Level, ago, to_the_second

_MARKS: Mapping[Level, str] = {"good": "ok", "waiting": "wait", "unused": "-", "attention": "WARN", "unknown": "?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--conn-id", action="append", help="a Toggl connection; may be given again (default: all that can be listed)"
    )
    parser.add_argument(
        "--warehouse-conn-id", help="read how fresh streams are from this warehouse, not from what tasks have noted"
    )
    parser.add_argument("--schema", default="toggl", help="schema of the warehouse's tables (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a connection instead of text")


def run(args: argparse.Namespace) -> int:
    """Print how they are; return the exit code: 1 where something waits for a person, or could not be read.

    Asks nothing of Toggl.
    """
    # Otherwise connections in the metadata database are not found: `airflow connections` sets the same.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with others_to_stderr():  # what Airflow says meanwhile is none of the output
        from airflow_provider_toggl.hooks.health import (  # noqa: PLC0415 - loads Airflow
            list_toggl_connections,
            read_from_warehouse,
            read_health,
        )

        healths = [read_health(conn_id) for conn_id in args.conn_id or list_toggl_connections()]
        if args.warehouse_conn_id:
            healths = [read_from_warehouse(one, args.warehouse_conn_id, args.schema) for one in healths]
    if not healths:
        print("There is no connection of type toggl that can be listed; name one by --conn-id.", file=sys.stderr)
    for health in healths:
        if args.json:
            print(json.dumps(health.as_dict()))
        else:
            print("\n".join(lines(health)))
    errors = {f"{health.conn_id}: {reason}" for health in healths for reason in health.unknown.values()}
    for error in sorted(errors):
        print(error, file=sys.stderr)
    return 1 if errors or any(health.level == "attention" for health in healths) else 0


def lines(health: Health) -> Iterator[str]:
    """Yield the health of a connection as text: a line for each part, then a table of streams."""
    yield f"{health.conn_id}  {health.level}  ({to_the_second(health.at)})"
    for finding in health.findings():
        yield f"  {_MARKS[finding.level]:<5} {finding.part:<15} {finding.text}"
    for workspace_id in health.allowances:
        allowed = f"the next reconciliation of workspace {workspace_id} may mark any number of entries absent"
        yield f"  {_MARKS['attention']:<5} {'reconciliation':<15} {allowed}"
    if health.streams:
        yield f"  {'stream':<16} {'warehouse':<24} {'complete up to':<14} {'last landed':<14} last event"
    for one in health.streams:
        moments = (one.watermark, one.ran_at, one.event_at)
        words = ["-" if moment is None else ago(moment, health.at) for moment in moments]
        yield f"  {one.stream:<16} {one.warehouse:<24} {words[0]:<14} {words[1]:<14} {words[2]}"
