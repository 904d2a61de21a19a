"""``plan``: prints how many requests a first load takes, and when it ends."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timezone

from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.client.session import WAIT_REASONS, observe_waits
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.core.sync.plan import CountingProgress, LoadPlan, announce_plan, build_plan, format_hours
from airflow_provider_toggl.core.wording import plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument("--workspace-id", type=int, help="the workspace (default: the connection's)")
    parser.add_argument(
        "--warehouse-conn-id",
        help="the warehouse; what is loaded there is not planned again (default: plan for an empty one)",
    )
    parser.add_argument("--schema", default="toggl", help="schema of the warehouse's tables (default: %(default)s)")
    parser.add_argument(
        "--since", metavar="DAY", help="first day of the history (default: back to the first year without entries)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Print the plan, after its own cost on standard error; return the exit code."""
    with use_airflow():
        from airflow_provider_toggl.hooks.toggl import TogglHook  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.warehouse import open_warehouse  # noqa: PLC0415 - loads Airflow

        hook = TogglHook(args.conn_id)
        workspace = hook.get_workspace_id(args.workspace_id)
        conn_id = args.warehouse_conn_id
        warehouse = nullcontext() if conn_id is None else open_warehouse(conn_id, schema=args.schema)
        with warehouse as target, observe_waits(announce_wait):
            session = hook.get_conn()
            counted, spent = CountingProgress(), session.spent
            print(announce_plan(session, workspace, args.since, datetime.now(timezone.utc)), file=sys.stderr)
            try:
                plan = build_plan(session, workspace, since=args.since, target=target, counted=counted)
            except (QuotaExhausted, RateLimited) as error:
                print(f"{error}\n{_stopped(counted, session.spent - spent)}", file=sys.stderr)
                return 1
    print(json.dumps(plan.as_dict()) if args.json else "\n".join(lines(plan)))
    return 0


@contextmanager
def announce_wait(reason: str, until: float, _: int) -> Iterator[None]:
    """Print the reason and the end of a long wait to standard error."""
    print(f"Waiting for {WAIT_REASONS[reason]} until {utc(until):%H:%M:%S} UTC.", file=sys.stderr, flush=True)
    yield


def _stopped(counted: CountingProgress, requests: int) -> str:
    """Return how far the counting came before Toggl's limits stopped it."""
    found = "nothing is counted yet"
    if counted.since is not None:
        found = f"{plural(counted.rows, 'entry')} since {counted.since} counted"
    return f"The plan stopped after {plural(requests, 'request')}: {found}. With --since it takes less."


def lines(plan: LoadPlan) -> Iterator[str]:
    """Yield the plan as text."""
    days = f", from {min(part.first for part in plan.parts)}" if plan.parts else ""
    how = "counted" if plan.exact else "partly estimated"
    entries = plural(plan.rows, "time entry")
    yield f"Workspace {plan.workspace_id}: {entries} to load ({how}){days}."
    yield f"{'stream':<16} {'requests':>9}"
    for name, cost in plan.streams.items():
        yield f"{name:<16} {cost.requests:>9,}" + ("" if cost.exact else "  or a few more")
    yield f"{'in all':<16} {plan.requests:>9,}  in pages of {plan.page_size:,}; this plan took {plan.asked}"
    if plan.an_hour is None:
        yield "Toggl does not say how many requests an hour has."
    else:
        yield (
            f"{plural(plan.an_hour, 'request')} an hour available for {plan.lane}: {plan.total} less {plan.reserve} "
            f"reserved and {plan.by_others} used by others in this window. {plan.spare} available now."
        )
    by_plan = ", ".join(f"{format_hours(hours)} on {name}" for name, hours in plan.hours.items())
    yield f"The load takes {by_plan}; here {format_hours(plan.hours_here)}."
    yield f"If it begins now, it ends about {plan.ends_at:%Y-%m-%d %H:%M} UTC."
    yield (
        f"Later, a run of all streams takes about {plural(plan.each_run, 'request')}, and a reconciliation of all "
        f"years about {plan.each_reconciliation}."
    )
