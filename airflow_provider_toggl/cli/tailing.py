"""``events tail``: events as they come in, until told to stop."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import EventStore

WAIT = 1.0
"""Seconds of one wait for more; an interrupt ends it at once."""
_FILTERS = {
    "entity": ("entities", str, "WORD", "time_entry, project, ..."),
    "action": ("actions", str, "WORD", "created, updated or deleted"),
    "project-id": ("project_ids", int, "ID", "a project that it belongs to, or that changed"),
    "user-id": ("user_ids", int, "ID", "whose it is"),
    "client-id": ("client_ids", int, "ID", "a client that it belongs to, or that changed"),
    "tag-id": ("tag_ids", int, "ID", "a tag that it has"),
}


def add_tail_arguments(parser: argparse.ArgumentParser, place: Callable[[str], int]) -> None:
    """Add the arguments of ``events tail``.

    :param place: reads the number of an event.
    """
    parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")
    parser.add_argument(
        "--after", type=place, metavar="SEQ", help="begin after this one (default: with what comes from now on)"
    )
    parser.add_argument("--once", action="store_true", help="print what is there, all of it without --after, and end")
    for name, (_, kind, word, meaning) in _FILTERS.items():
        parser.add_argument(f"--{name}", type=kind, action="append", metavar=word, help=f"only of these: {meaning}")


def query_of(args: argparse.Namespace) -> EventQuery:
    """Return which events are wanted.

    :raises ConfigurationError: an argument is nothing that an event could be compared with.
    """
    given = {field: getattr(args, name.replace("-", "_")) for name, (field, *_) in _FILTERS.items()}
    return EventQuery(EventFilter.from_dict({field: values for field, values in given.items() if values}))


def tail(
    store: EventStore,
    args: argparse.Namespace,
    *,
    describe: Callable[[StoredEvent], dict[str, Any]],
    table: str,
    heading: Callable[[], None],
) -> None:
    """Print events as they come; an interrupt ends it.

    :param table: the form of a line that is no JSON.
    :param heading: prints the line above the table, once every later event will be seen.
    """
    query = query_of(args)
    after = args.after if args.after is not None else 0 if args.once else store.last_seq()
    if not args.json:
        heading()
    try:
        for stored in follow(store, query, after, once=args.once):
            described = describe(stored)
            words = {name: "-" if value is None else value for name, value in described.items()}
            print(json.dumps(described) if args.json else table.format_map(words), flush=True)
    except KeyboardInterrupt:
        pass  # as was wanted


def follow(store: EventStore, query: EventQuery, after: int, *, once: bool = False) -> Iterator[StoredEvent]:
    """Yield what counts after a place, in order, for ever; a store that is away for a while is waited for.

    :param once: end where the store ends.
    :raises EventStoreError: it cannot be read; with ``once`` also where it is only away.
    """
    is_away = False
    while True:
        try:
            events = store.read(after)
            if not events and not once:
                store.wait(after, WAIT)
        except EventStoreUnavailable as error:
            if once:
                raise
            if not is_away:
                print(f"Trying again until it can be read: {error}", file=sys.stderr)
            is_away = True
            time.sleep(WAIT)
            continue
        is_away = False
        if once and not events:
            return
        for stored in events:
            after = stored.seq
            if query.find_message(stored, store):
                yield stored
