"""``subscriptions``: lists, enables, disables, pings and deletes webhook subscriptions."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.client.resources.subscriptions import Subscription
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient


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
    if (args.subscription is None) != (args.action == "list"):
        print("list takes no subscription; every other action needs one.", file=sys.stderr)
        return 2
    with use_airflow():
        from airflow_provider_toggl.hooks.subscriptions import open_webhooks  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.toggl import INTERACTIVE_RETRY  # noqa: PLC0415 - likewise

        webhooks = open_webhooks(args.conn_id, args.workspace_id, retry=INTERACTIVE_RETRY)
        if args.action == "list":
            lines = list(_list(webhooks.subscriptions(), as_json=args.json))
        elif (number := _find(webhooks, args.subscription)) is None:
            print(f"There is no subscription {args.subscription!r}; `subscriptions list` shows them.", file=sys.stderr)
            return 1
        else:
            outcome = {"subscription_id": number, **_ACTIONS[args.action](webhooks, number)}
            text = ", ".join(f"{name}: {value}" for name, value in outcome.items())
            lines = [json.dumps(outcome) if args.json else text]
    print(*lines, sep="\n", end="\n" if lines else "")
    return 0


def _list(found: list[Subscription], *, as_json: bool) -> Iterator[str]:
    """Yield subscriptions as lines of JSON or as a table, without their secrets."""
    if as_json:
        yield from (json.dumps(one.as_dict()) for one in found)
        return
    yield f"{'id':>10}  {'enabled':<8} {'validated':<9} {'description':<28} filters → callback"
    for one in found:
        words = (f"{'yes' if flag else 'no':<{width}}" for flag, width in ((one.enabled, 8), (one.validated, 9)))
        filters, callback = " ".join(map(str, one.filters)), one.as_dict()["callback_url"]
        yield f"{one.subscription_id:>10}  {' '.join(words)} {one.description:<28} {filters} → {callback}"


def _find(webhooks: WebhooksClient, wanted: str) -> int | None:
    if wanted.isdecimal():
        return int(wanted)
    return next((one.subscription_id for one in webhooks.subscriptions() if one.description == wanted), None)


_ACTIONS: dict[str, Callable[[WebhooksClient, int], dict[str, Any]]] = {
    "delete": lambda webhooks, number: {"deleted": webhooks.delete(number)},
    "ping": lambda webhooks, number: {"status": webhooks.ping(number)},
    "enable": lambda webhooks, number: {"enabled": webhooks.set_enabled(number, True).enabled},
    "disable": lambda webhooks, number: {"enabled": webhooks.set_enabled(number, False).enabled},
}
