"""The command of the sandbox: options, start in the foreground or background, and output."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shlex
import signal
import socket
import sys
from datetime import datetime
from typing import Any

from airflow_provider_toggl.sandbox.server import connection_json, listen, serve
from airflow_provider_toggl.sandbox.settings import ORGANIZATION_QUOTA, SettingError, Settings
from airflow_provider_toggl.sandbox.workspace.seed import DEFAULT_TOKEN, build_world
from airflow_provider_toggl.sandbox.workspace.world import DEFAULT_WORKSPACE_ID, World


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8765, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--detach", action="store_true",
        help="run in the background: return when it is up and print shell variables; on failure exit with 1 or 2",
    )  # fmt: skip
    parser.add_argument(
        "--conn-id", default="toggl_default",
        help="ID of the Airflow connection that it prints (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=7, help="seed of the generated data (default: %(default)s)")
    parser.add_argument(
        "--entries", type=int, default=10_000, help="number of time entries that are not deleted (default: %(default)s)"
    )
    parser.add_argument("--users", type=int, default=8, help="number of users in the workspace (default: %(default)s)")
    parser.add_argument(
        "--days", type=int, default=365, help="how many days back time entries start (default: %(default)s)"
    )
    parser.add_argument(
        "--plan",
        choices=sorted(ORGANIZATION_QUOTA),
        default="free",
        help="plan of the organization (default: %(default)s)",
    )
    parser.add_argument("--token", default=DEFAULT_TOKEN, help="API token of the owner (default: %(default)s)")
    parser.add_argument(
        "--workspace-id", type=int, default=DEFAULT_WORKSPACE_ID,
        help="workspace ID; sandboxes with different ones share no IDs (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--timezone", default="Europe/Berlin", help="time zone of the owner (default: %(default)s)")
    parser.add_argument(
        "--now", type=_moment, help="the sandbox's time at the start, ISO 8601 with a zone (default: now)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", type=_setting,
        help="set a setting; the value is JSON or a text; may be repeated",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Serve a sandbox until a signal stops it, or start it in the background.

    :return: the exit status: 1 if it cannot listen, 2 for an invalid argument.
    """
    if args.detach and not hasattr(os, "fork"):
        return _complain("--detach needs Linux or macOS; start the sandbox without it in another terminal", 2)
    settings = Settings()
    try:
        settings.update({"plan": args.plan, **dict(args.settings)})
        listening = listen(args.host, args.port)
    except SettingError as error:
        return _complain(str(error), 2)
    except OSError as error:
        hint = "; use --port 0 for a free port" if error.errno == errno.EADDRINUSE else ""
        return _complain(f"cannot listen on {args.host}:{args.port}: {error.strerror or error}{hint}", 1)
    try:
        world = build_world(
            seed=args.seed, entries=args.entries, users=args.users, plan=settings.plan, token=args.token,
            workspace_id=args.workspace_id, now=args.now, days=args.days, timezone=args.timezone, settings=settings,
        )  # fmt: skip
    except ValueError as error:
        listening.close()
        return _complain(str(error), 2)
    url = f"http://{_shown_host(args.host)}:{listening.getsockname()[1]}"
    if args.detach:
        return _detach(world, url, listening, args.conn_id)
    sys.stdout.write(greeting(world, url, args.conn_id) + "\n")
    sys.stdout.flush()
    serve(world, listening=listening)
    return 0


def _detach(world: World, url: str, listening: socket.socket, conn_id: str) -> int:
    """Serve in a process of its own and return at once; the port is open already, so no request is refused."""
    process = os.fork()
    if process:
        listening.close()
        sys.stderr.write(f"{summary(world, url)}. Process: {process}\n")
        sys.stdout.write(shell_variables(world, url, conn_id, process) + "\n")
        sys.stdout.flush()
        return 0
    # With the command's output still open, its reader would wait for this process to end.
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    serve(world, listening=listening)
    return 0


def connection_variable(world: World, url: str, conn_id: str = "toggl_default") -> str:
    """Return a shell command that sets the Airflow connection."""
    ids = {"workspace_id": world.workspace.id, "organization_id": world.organization.id}
    connection = connection_json(url, world.owner.token, ids)
    return f"export AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(connection)}"


def shell_variables(world: World, url: str, conn_id: str, process: int) -> str:
    """Return shell commands that set the connection, the workspace, the address and the process id."""
    return "\n".join(
        [
            connection_variable(world, url, conn_id),
            f"export TOGGL_WORKSPACE_ID={world.workspace.id}",
            f"export TOGGL_SANDBOX_URL={url}",
            f"export TOGGL_SANDBOX_PID={process}",
        ]
    )


def summary(world: World, url: str) -> str:
    """Return one line: address, plan, and the number of time entries and users."""
    entries = sum(entry.deleted_at is None for entry in world.time_entries.values())
    users = sum(user.deleted_at is None for user in world.users.values())
    return f"Toggl sandbox at {url}: plan {world.settings.plan}, time entries: {entries:,}, users: {users:,}"


def greeting(world: World, url: str, conn_id: str = "toggl_default") -> str:
    """Return what to print after the start: token, workspace, example requests and Airflow connection."""
    return "\n".join(
        [
            summary(world, url),
            f"  API token     {world.owner.token}",
            f"  workspace     {world.workspace.id} (organization {world.organization.id})",
            f"  try           curl -u {world.owner.token}:api_token {url}/api/v9/me",
            f"  control API   curl {url}/sandbox/settings",
            f"  Airflow       {connection_variable(world, url, conn_id)}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_toggl.sandbox", description="Serve a local Toggl Track with generated data."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def _complain(problem: str, status: int) -> int:
    sys.stderr.write(f"sandbox: {problem}\n")
    return status


def _shown_host(host: str) -> str:
    """Return an address that a client can connect to, also if the server listens on all addresses."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} needs a time zone, such as Z")
    return moment


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
