"""The sandbox's command: its options, and what it prints when it is up."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from typing import Any

from airflow_provider_toggl.sandbox.seed import DEFAULT_TOKEN, build_world
from airflow_provider_toggl.sandbox.server import listen, serve
from airflow_provider_toggl.sandbox.settings import ORGANIZATION_QUOTA, SettingError, Settings
from airflow_provider_toggl.sandbox.world import World


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="port to listen at, 0 for any (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="decides all data (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=10_000, help="live time entries (default: %(default)s)")
    parser.add_argument("--users", type=int, default=8, help="people in the workspace (default: %(default)s)")
    parser.add_argument("--days", type=int, default=365, help="days that the entries lie in (default: %(default)s)")
    parser.add_argument("--plan", choices=sorted(ORGANIZATION_QUOTA), default="free", help="default: %(default)s")
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="the API token that it accepts (default: %(default)s)")
    parser.add_argument("--timezone", default="Europe/Berlin", help="of the token's owner (default: %(default)s)")
    parser.add_argument("--now", type=_moment, help="its time when it starts, ISO 8601 with a zone (default: now)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", type=_setting,
        help="a setting, its value as JSON or a text; may be given several times",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Build the world, say how to use it, and serve it until told to stop. Answers the exit status."""
    settings = Settings()
    try:
        settings.update({"plan": args.plan, **dict(args.settings)})
        listening = listen(args.host, args.port)
    except SettingError as problem:
        return _complain(str(problem), 2)
    except OSError as problem:
        return _complain(f"cannot listen at {args.host}:{args.port}: {problem.strerror or problem}", 1)
    try:
        world = build_world(
            seed=args.seed, entries=args.entries, users=args.users, plan=settings.plan, token=args.token,
            now=args.now, days=args.days, timezone=args.timezone, settings=settings,
        )  # fmt: skip
    except ValueError as problem:
        listening.close()
        return _complain(str(problem), 2)
    sys.stdout.write(greeting(world, f"http://{_shown_host(args.host)}:{listening.getsockname()[1]}") + "\n")
    sys.stdout.flush()
    serve(world, listening=listening)
    return 0


def greeting(world: World, url: str) -> str:
    """Return what a person needs to use the sandbox."""
    connection = {
        "conn_type": "toggl",
        "host": url,
        "password": world.owner.token,
        "extra": {"workspace_id": world.workspace.id, "organization_id": world.organization.id},
    }
    live = sum(1 for entry in world.time_entries.values() if entry.deleted_at is None)
    return "\n".join(
        [
            f"Toggl sandbox at {url}: plan {world.settings.plan}, {live} time entries, {len(world.users)} users",
            f"  API token     {world.owner.token}",
            f"  workspace     {world.workspace.id} (organization {world.organization.id})",
            f"  try           curl -u {world.owner.token}:api_token {url}/api/v9/me",
            f"  control API   curl {url}/sandbox/settings",
            f"  Airflow       export AIRFLOW_CONN_TOGGL_DEFAULT='{json.dumps(connection)}'",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox's command."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_toggl.sandbox", description="Serve a local Toggl Track with made-up data."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _complain(problem: str, status: int) -> int:
    sys.stderr.write(f"sandbox: {problem}\n")
    return status


def _shown_host(host: str) -> str:
    """Return an address that a client can connect to where the server listens at all of them."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs a zone, such as Z")
    return moment


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
