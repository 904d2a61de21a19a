"""``events``: list, follow, count, show and prune the events in the event store, and list its consumers."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_toggl.cli.commands import COMMANDS, add_examples
from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import Consumer, StoredEvent
from airflow_provider_toggl.core.events.retention import parse_age, prune_older
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.instants import rfc3339

WAIT = 1.0
"""Seconds of one wait of ``tail`` for new events, and between two tries while the store is unavailable."""

_TABLE = "{seq:>10}  {received_at:<27}  {subscription_id:>12}  {event_id:>20}  {entity:<16} {action:<8} {entity_id:>14}"
_JSON_HELP = "print one JSON object a line instead of a table"
# The filters of `tail`: option, parameter of EventFilter, type, placeholder, meaning.
_FILTERS = {
    "entity": ("entities", str, "WORD", "time_entry, project, ..."),
    "action": ("actions", str, "WORD", "created, updated or deleted"),
    "project-id": ("project_ids", int, "ID", "the project that changed or that the entity belongs to"),
    "user-id": ("user_ids", int, "ID", "the user whom the entity belongs to"),
    "client-id": ("client_ids", int, "ID", "the client that changed or that the entity belongs to"),
    "tag-id": ("tag_ids", int, "ID", "a tag of the entity"),
}


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
            help="the Toggl connection of the events (default: toggl_default; without it, the default store)",
        )
        return command

    listing = add("list", _list, "list stored events, oldest first")
    listing.add_argument("--json", action="store_true", help=_JSON_HELP)
    listing.add_argument("--after", type=_seq, default=0, metavar="SEQ", help="only events after this one")
    tailing = add("tail", _tail, "print events as they arrive, until interrupted")
    tailing.add_argument("--json", action="store_true", help=_JSON_HELP)
    tailing.add_argument("--after", type=_seq, metavar="SEQ", help="start after this event (default: with new events)")
    tailing.add_argument(
        "--once", action="store_true", help="print the stored events, all of them without --after, and exit"
    )
    for name, (_, kind, placeholder, meaning) in _FILTERS.items():
        tailing.add_argument(
            f"--{name}", type=kind, action="append", metavar=placeholder, help=f"only these; may be repeated: {meaning}"
        )
    add("count", _count, "print the number of stored events")
    showing = add("show", _show, "print the body of an event, byte for byte")
    showing.add_argument("seq", type=_seq, help="its number, as printed by list")
    pruning = add("prune", _prune, "remove old events that every consumer has read")
    pruning.add_argument("--older-than", required=True, metavar="AGE", help="36h, 30d or 4w; at least a day")
    consumers = add("consumers", _consumers, "list the consumers and how far each has read")
    consumers.add_argument("--json", action="store_true", help=_JSON_HELP)
    consumers.add_argument("--forget", metavar="NAME", help="remove this consumer, so that prune ignores it")


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit code."""
    try:
        with _open(args.conn_id) as store:
            args.work(store, args)
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Without this, Python reports it again when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def follow(store: EventStore, query: EventQuery, after: int, *, once: bool = False) -> Iterator[StoredEvent]:
    """Yield matching events after a ``seq``, in order, without end. Waits while the store is unavailable.

    :param once: stop at the end of the store.
    :raises EventStoreError: the store cannot be read; with ``once`` also if it is only unavailable.
    """
    is_unavailable = False
    while True:
        try:
            events = store.read(after)
            if not events and not once:
                store.wait(after, WAIT)
        except EventStoreUnavailable as error:
            if once:
                raise
            if not is_unavailable:
                print(f"Trying again until the store can be read: {error}", file=sys.stderr)
            is_unavailable = True
            time.sleep(WAIT)
            continue
        is_unavailable = False
        if once and not events:
            return
        for stored in events:
            after = stored.seq
            if query.find_message(stored, store):
                yield stored


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
        "created_at": rfc3339(event.created_at),
        "received_at": rfc3339(event.received_at),
    }


def _seq(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise argparse.ArgumentTypeError("not the number of an event")
    return number


def _open(conn_id: str | None) -> EventStore:
    with use_airflow():
        from airflow_provider_toggl.hooks.connections import find_connection  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - likewise

        if conn_id is None and find_connection("toggl_default", parameter="--conn-id") is None:
            return open_event_store(event_store_conn_id="")
        return open_event_store("toggl_default" if conn_id is None else conn_id)


def _list(store: EventStore, args: argparse.Namespace) -> None:
    _print_heading(as_json=args.json)
    after = args.after
    while events := store.read(after):
        for stored in events:
            _print_event(stored, as_json=args.json)
        after = events[-1].seq


def _tail(store: EventStore, args: argparse.Namespace) -> None:
    values = {field: getattr(args, name.replace("-", "_")) for name, (field, *_) in _FILTERS.items()}
    query = EventQuery(EventFilter.from_dict({field: value for field, value in values.items() if value}))
    after = args.after if args.after is not None else 0 if args.once else store.last_seq()
    # Printed after the end was read: no later event is missed.
    _print_heading(as_json=args.json)
    try:
        for stored in follow(store, query, after, once=args.once):
            _print_event(stored, as_json=args.json)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass  # the usual end


def _count(store: EventStore, _: argparse.Namespace) -> None:
    print(store.count())


def _show(store: EventStore, args: argparse.Namespace) -> None:
    sys.stdout.buffer.write(store.get(args.seq).event.body)


def _prune(store: EventStore, args: argparse.Namespace) -> None:
    print(f"{prune_older(store, parse_age(args.older_than))} removed, {store.count()} kept")


def _consumers(store: EventStore, args: argparse.Namespace) -> None:
    if args.forget is not None:
        removed = store.forget_consumer(args.forget)
        print(f"Consumer {args.forget} {'was removed' if removed else 'does not exist'}")
        return
    last_seq = store.last_seq()
    if not args.json:
        print(f"{'seq':>10}  {'behind':>10}  {'updated_at':<27}  name")
    for consumer in store.consumers():
        print(_consumer_line(consumer, last_seq, as_json=args.json))


def _consumer_line(consumer: Consumer, last_seq: int, *, as_json: bool) -> str:
    behind, updated_at = last_seq - consumer.seq, rfc3339(consumer.updated_at)
    if as_json:
        row = {"name": consumer.name, "seq": consumer.seq, "behind": behind, "updated_at": updated_at}
        return json.dumps(row)
    return f"{consumer.seq:>10}  {behind:>10}  {updated_at:<27}  {consumer.name}"


def _print_heading(*, as_json: bool) -> None:
    if not as_json:
        names = ("seq", "received_at", "subscription_id", "event_id", "entity", "action", "entity_id")
        print(_TABLE.format_map({name: name for name in names}), flush=True)


def _print_event(stored: StoredEvent, *, as_json: bool) -> None:
    row = describe(stored)
    cells = {name: "-" if value is None else value for name, value in row.items()}
    print(json.dumps(row) if as_json else _TABLE.format_map(cells))
