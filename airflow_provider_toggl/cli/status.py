"""``status``: the health of Toggl connections, as on the page. Needs no running Airflow."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping

from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.instants import format_instant
from airflow_provider_toggl.core.operate.findings import CheckStatus, worst_status
from airflow_provider_toggl.core.operate.health.diagnosis import diagnose, health_as_dict
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.wording import ago

_MARKS: Mapping[CheckStatus, str] = {
    CheckStatus.FAULT: "FAULT",
    CheckStatus.WARNING: "WARN",
    CheckStatus.UNKNOWN: "?",
    CheckStatus.WAITING: "wait",
    CheckStatus.OK: "ok",
    CheckStatus.UNUSED: "-",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "--conn-id", action="append", help="a Toggl connection; can be repeated (default: all that can be listed)"
    )
    parser.add_argument(
        "--warehouse-conn-id", help="read data freshness from this warehouse instead of from the records of tasks"
    )
    parser.add_argument("--schema", default="toggl", help="schema of the warehouse's tables (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per connection instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the health of connections; return 1 if one has a fault, a warning or a part that cannot be read, else 0.

    Sends no request to Toggl.
    """
    with use_airflow():
        from airflow_provider_toggl.hooks.health import (  # noqa: PLC0415 - loads Airflow
            list_toggl_connections,
            read_from_warehouse,
            read_health,
        )

        healths = [read_health(conn_id) for conn_id in args.conn_id or list_toggl_connections()]
        if args.warehouse_conn_id:
            healths = [read_from_warehouse(one, args.warehouse_conn_id, args.schema) for one in healths]
    if not healths:
        print("No connection of type toggl can be listed. Name one with --conn-id.", file=sys.stderr)
    for health in healths:
        print(json.dumps(health_as_dict(health)) if args.json else "\n".join(lines(health)))
    errors = {f"{health.conn_id}: {reason}" for health in healths for reason in health.unknown.values()}
    for error in sorted(errors):
        print(error, file=sys.stderr)
    return 1 if errors or any(worst_status(diagnose(health)).needs_attention for health in healths) else 0


def lines(health: Health) -> Iterator[str]:
    """Yield the health of a connection as text: a line for each part, then a table of streams."""
    findings = diagnose(health)
    yield f"{health.conn_id}  {worst_status(findings).value}  ({format_instant(health.at)})"
    for finding in findings:
        yield f"  {_MARKS[finding.status]:<5} {finding.check:<15} {finding.text}"
    for workspace_id in health.approvals:
        yield f"  {_MARKS[CheckStatus.WARNING]:<5} {'reconciliation':<15} mass deletion approved in {workspace_id}"
    if health.streams:
        yield f"  {'stream':<16} {'warehouse':<24} {'complete up to':<14} {'last load':<14} last event"
    for one in health.streams:
        moments = (one.watermark, one.ran_at, one.event_at)
        words = ["-" if moment is None else ago(moment, health.at) for moment in moments]
        words[0] = "skipped" if one.skipped else words[0]
        yield f"  {one.stream:<16} {one.warehouse:<24} {words[0]:<14} {words[1]:<14} {words[2]}"
    for one in health.streams:
        if one.skipped:
            yield f"  skipped: {one.skipped}"
