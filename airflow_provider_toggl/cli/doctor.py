"""``doctor``: checks every part of a connection and shows how to fix what is wrong."""

from __future__ import annotations

import argparse
import json
import sys

from airflow_provider_toggl.cli.output import use_airflow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument(
        "--warehouse-conn-id", help="the warehouse's connection (default: duckdb_default, or its file, if it exists)"
    )
    parser.add_argument("--schema", default="toggl", help="schema of the warehouse's tables (default: %(default)s)")
    parser.add_argument("--callback-url", help="the address that Toggl delivers to (default: the connection's)")
    parser.add_argument("--member", action="store_true", help="the token's owner is not meant to be an administrator")
    parser.add_argument("--no-ping", action="store_true", help="send no PING to the callback, and let Toggl send none")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="timeout per check (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Run all checks and print their findings; return 1 if there is a fault, else 0."""
    with use_airflow():
        from airflow_provider_toggl.cli.doctor_checks import run_checks  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.core.operate.doctor.context import CheckOptions  # noqa: PLC0415 - as below

        pings = "" if args.no_ping else ", and 1 or 2 more for a PING"
        print(f"Sends 3 requests to Toggl; with webhooks 2 more{pings}.", file=sys.stderr, flush=True)
        report = run_checks(
            CheckOptions(
                conn_id=args.conn_id,
                warehouse_conn_id=args.warehouse_conn_id,
                schema=args.schema,
                callback_url=args.callback_url,
                member=args.member,
                ping=not args.no_ping,
                timeout=args.timeout,
            )
        )
    print(json.dumps(report.as_dict()) if args.json else "\n".join(report.lines()))
    return report.exit_code


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 600:
        raise argparse.ArgumentTypeError("must be a number of seconds, at most 600")
    return seconds
