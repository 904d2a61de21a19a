"""``subscriptions``: lists, enables, disables, pings and deletes webhook subscriptions."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_toggl.cli.output import redirect_to_stderr
from airflow_provider_toggl.core.client.resources.subscriptions import Subscription
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.errors import TogglError

Act = Callable[[WebhooksClient, int], "dict[str, Any]"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("action", choices=("list", *_ACTIONS), help="what to do")
    parser.add_argument(
        "subscription", nargs="?", help="ID or description of the subscription, for all actions except list"
    )
    parser.add_argument("--conn-id", default="toggl_default", help="the Toggl connection (default: %(default)s)")
    parser.add_argument("--workspace-id", type=int, help="the workspace (default: the connection's)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line instead of a table")


def run(args: argparse.Namespace) -> int:
    """Carry out the action, print the result and return the exit code: 1 for an error, 2 for wrong arguments."""
    # Otherwise connections in the metadata database are not found: `airflow connections` sets the same.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    if (args.subscription is None) != (args.action == "list"):
        print("list takes no subscription; every other action needs one.", file=sys.stderr)
        return 2
    with redirect_to_stderr():
        try:
            lines = _carry_out(args)
        except TogglError as error:
            print(error, file=sys.stderr)
            return 1
    if lines is None:
        print(f"There is no subscription {args.subscription!r}; `subscriptions list` shows them.", file=sys.stderr)
        return 1
    for line in lines:
        print(line)
    return 0


def _carry_out(args: argparse.Namespace) -> list[str] | None:
    """Return the lines to print, None if the subscription does not exist."""
    from airflow_provider_toggl.hooks.subscriptions import open_webhooks  # noqa: PLC0415 - loads Airflow
    from airflow_provider_toggl.hooks.toggl import INTERACTIVE_RETRY  # noqa: PLC0415 - likewise

    webhooks = open_webhooks(args.conn_id, args.workspace_id, retry=INTERACTIVE_RETRY)
    if args.action == "list":
        return list((_json_lines if args.json else table)(webhooks.subscriptions()))
    number = _find(webhooks, args.subscription)
    if number is None:
        return None
    outcome = {"subscription_id": number, **_ACTIONS[args.action](webhooks, number)}
    return [json.dumps(outcome) if args.json else ", ".join(f"{name}: {value}" for name, value in outcome.items())]


def table(found: list[Subscription]) -> Iterator[str]:
    """Yield a table of subscriptions, without their secrets."""
    yield f"{'id':>10}  {'enabled':<8} {'validated':<9} {'description':<28} filters → callback"
    for one in found:
        words = (f"{'yes' if flag else 'no':<{width}}" for flag, width in ((one.enabled, 8), (one.validated, 9)))
        filters, callback = " ".join(map(str, one.filters)), one.as_dict()["callback_url"]
        yield f"{one.subscription_id:>10}  {' '.join(words)} {one.description:<28} {filters} → {callback}"


def _json_lines(found: list[Subscription]) -> Iterator[str]:
    for one in found:
        yield json.dumps(one.as_dict())


def _find(webhooks: WebhooksClient, wanted: str) -> int | None:
    if wanted.isdecimal():
        return int(wanted)
    return next((one.subscription_id for one in webhooks.subscriptions() if one.description == wanted), None)


def _enable(webhooks: WebhooksClient, number: int) -> dict[str, Any]:
    return {"enabled": webhooks.set_enabled(number, True).enabled}


def _disable(webhooks: WebhooksClient, number: int) -> dict[str, Any]:
    return {"enabled": webhooks.set_enabled(number, False).enabled}


def _delete(webhooks: WebhooksClient, number: int) -> dict[str, Any]:
    return {"deleted": webhooks.delete(number)}


def _ping(webhooks: WebhooksClient, number: int) -> dict[str, Any]:
    return {"status": webhooks.ping(number)}


_ACTIONS: dict[str, Act] = {"delete": _delete, "ping": _ping, "enable": _enable, "disable": _disable}
