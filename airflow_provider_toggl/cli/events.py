"""``events``: what is in the event store."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from airflow_provider_toggl.cli.commands import COMMANDS, add_examples
from airflow_provider_toggl.cli.output import redirect_to_stderr
from airflow_provider_toggl.cli.tailing import add_tail_arguments, tail
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.retention import parse_age, prune_older
from airflow_provider_toggl.core.events.store import Consumer, EventStore, StoredEvent

_TABLE = "{seq:>10}  {received_at:<27}  {subscription_id:>12}  {event_id:>20}  {entity:<16} {action:<8} {entity_id:>14}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    commands = parser.add_subparsers(dest="events_command", metavar="command", required=True)

    def add(name: str, work: Callable[[EventStore, argparse.Namespace], None], summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        add_examples(command, [one for one in COMMANDS["events"].examples if one.split()[1] == name])
        command.set_defaults(work=work)
        command.add_argument(
            "--conn-id",
            default=None,
            help="the Toggl connection whose events they are (default: toggl_default; without it, the default store)",
        )
        return command

    listing = add("list", _list, "events in the order in which they became visible")
    listing.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    listing.add_argument("--after", type=_place, default=0, metavar="SEQ", help="only those after this one")
    add_tail_arguments(add("tail", _tail, "events as they come in, until it is interrupted"), _place)
    add("count", _count, "how many events are kept")
    showing = add("show", _show, "the bytes of an event as they came")
    showing.add_argument("seq", type=_place, help="its number, as list shows it")
    pruning = add("prune", _prune, "remove old events that every consumer has read")
    pruning.add_argument("--older-than", required=True, metavar="AGE", help="36h, 30d or 4w; a day at least")
    consumers = add("consumers", _consumers, "named readers, and how far they are")
    consumers.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    consumers.add_argument("--forget", metavar="NAME", help="remove this one, so that prune waits for it no longer")


def run(args: argparse.Namespace) -> int:
    """Do what was asked and return the exit code."""
    try:
        with _open(args.conn_id) as store:
            args.work(store, args)
            sys.stdout.flush()
    except TogglError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever read has enough, as `head` does; Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _place(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("it is no number of an event")
    return number


def _open(conn_id: str | None) -> EventStore:
    # Imported here: it loads Airflow, and the other commands do without.
    with redirect_to_stderr():  # what Airflow says meanwhile is none of the output
        from airflow_provider_toggl.hooks.connections import find_connection  # noqa: PLC0415 - as above
        from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - as above

        if conn_id is None and find_connection("toggl_default", parameter="--conn-id") is None:
            return open_event_store(event_store_conn_id="")
        return open_event_store("toggl_default" if conn_id is None else conn_id)


def _list(store: EventStore, args: argparse.Namespace) -> None:
    if not args.json:
        _print_heading()
    for stored in _events(store, args.after):
        described = describe(stored)
        if args.json:
            print(json.dumps(described))
        else:
            print(_TABLE.format_map({name: "-" if value is None else value for name, value in described.items()}))


def _tail(store: EventStore, args: argparse.Namespace) -> None:
    tail(store, args, describe=describe, table=_TABLE, heading=_print_heading)


def _print_heading() -> None:
    names = ("seq", "received_at", "subscription_id", "event_id", "entity", "action", "entity_id")
    print(_TABLE.format_map({name: name for name in names}), flush=True)


def _count(store: EventStore, _: argparse.Namespace) -> None:
    print(store.count())


def _show(store: EventStore, args: argparse.Namespace) -> None:
    sys.stdout.buffer.write(store.get(args.seq).event.body)


def _prune(store: EventStore, args: argparse.Namespace) -> None:
    print(f"{prune_older(store, parse_age(args.older_than))} removed, {store.count()} kept")


def _consumers(store: EventStore, args: argparse.Namespace) -> None:
    if args.forget is not None:
        known = store.forget_consumer(args.forget)
        print(f"{args.forget} is {'forgotten' if known else 'not known'}")
        return
    last_seq = store.last_seq()
    if not args.json:
        print(f"{'seq':>10}  {'behind':>10}  {'updated_at':<27}  name")
    for consumer in store.consumers():
        print(_consumer_line(consumer, last_seq, as_json=args.json))


def _consumer_line(consumer: Consumer, last_seq: int, *, as_json: bool) -> str:
    behind, updated_at = last_seq - consumer.seq, _rfc3339(consumer.updated_at)
    if as_json:
        row = {"name": consumer.name, "seq": consumer.seq, "behind": behind, "updated_at": updated_at}
        return json.dumps(row)
    return f"{consumer.seq:>10}  {behind:>10}  {updated_at:<27}  {consumer.name}"


def _events(store: EventStore, after: int) -> Iterator[StoredEvent]:
    while events := store.read(after):
        yield from events
        after = events[-1].seq


def describe(stored: StoredEvent) -> dict[str, Any]:
    """Return what ``events list --json`` prints of an event."""
    event = stored.event
    return {
        "seq": stored.seq,
        "subscription_id": event.subscription_id,
        "event_id": event.event_id,
        "entity": event.entity,
        "action": event.action,
        "entity_id": event.entity_id,
        "created_at": None if event.created_at is None else _rfc3339(event.created_at),
        "received_at": _rfc3339(event.received_at),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
