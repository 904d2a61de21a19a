"""``plan``: what a first load will cost, and when it would end."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext

from airflow_provider_toggl.cli.output import others_to_stderr
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.plan import Plan, build_plan, span_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument("--workspace-id", type=int, help="the workspace (default: the connection's)")
    parser.add_argument(
        "--warehouse-conn-id",
        help="a warehouse: what is landed there already is not planned again (default: nothing is landed yet)",
    )
    parser.add_argument("--schema", default="toggl", help="schema of the warehouse's tables (default: %(default)s)")
    parser.add_argument(
        "--since", metavar="DAY", help="first day of the history (default: until a year has no entries)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Count, print the plan and return the exit code; it takes a request for each year and a few more."""
    # Otherwise connections in the metadata database are not found: `airflow connections` sets the same.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with others_to_stderr():  # what Airflow says meanwhile is none of the output
        from airflow_provider_toggl.hooks.toggl import TogglHook  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.warehouse import open_target  # noqa: PLC0415 - loads Airflow

        try:
            hook = TogglHook(args.conn_id)
            workspace = hook.get_workspace_id(args.workspace_id)
            warehouse = (
                nullcontext()
                if args.warehouse_conn_id is None
                else open_target(args.warehouse_conn_id, schema=args.schema)
            )
            with warehouse as target:
                plan = build_plan(hook.get_conn(), workspace, since=args.since, target=target)
        except TogglError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(plan.as_dict()) if args.json else "\n".join(lines(plan)))
    return 0


def lines(plan: Plan) -> Iterator[str]:
    """Yield the plan as text."""
    days = f", from {min(part.first for part in plan.parts)}" if plan.parts else ""
    how = "counted" if plan.exact else "about: some are estimated"
    yield f"Workspace {plan.workspace_id}: {plan.rows:,} time entries to load ({how}){days}."
    yield f"{'stream':<16} {'requests':>9}"
    for name, cost in plan.streams.items():
        yield f"{name:<16} {cost.requests:>9,}" + ("" if cost.exact else "  or a few more")
    yield f"{'in all':<16} {plan.requests:>9,}  in pages of {plan.page_size:,}; this plan took {plan.asked}"
    if plan.an_hour is None:
        yield "Toggl does not tell how many requests an hour has."
    else:
        yield (
            f"{plan.an_hour} requests an hour spare for {plan.lane}: {plan.total} less {plan.reserve} in reserve and "
            f"{plan.by_others} that others used in this window. {plan.spare} to spend now."
        )
    by_plan = ", ".join(f"{span_words(hours)} on {name}" for name, hours in plan.hours.items())
    yield f"The load takes {by_plan}; here {span_words(plan.hours_here)}."
    yield f"Begun now, it ends about {plan.ends_at:%Y-%m-%d %H:%M} UTC."
    yield (
        f"After it, a run of all streams takes about {plan.each_run} requests, and comparing all years with the "
        f"warehouse about {plan.each_reconciliation}."
    )
