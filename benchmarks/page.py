"""How long each view of the page in the Airflow UI takes with a store of a million deliveries.

Measured over HTTP with a real API server and a signed-in viewer, and for the queries alone; cold, with nothing of the
store in memory, and warm; on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import requests
from support.event_stores import FIRST_ENTITY, FIRST_EVENT
from support.page_setup import CONN_ID, MANY, PageSetup, running_page_setup
from support.servers.postgres import PostgresServer, running_postgres

from airflow_provider_toggl.core.events.activity_log import MAX_REFUSALS, REJECTED, RefusalFilter, RefusedDelivery
from airflow_provider_toggl.core.events.listing import list_deliveries
from airflow_provider_toggl.core.events.model import DeliveryFilter
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.health.timeline import build_timeline, find_loaded_seq

LONGEST = 200.0
"""Milliseconds that a page may take over HTTP, cold or warm."""
PADDING = 600
"""Bytes of a description, so that a body has the usual size."""
DELIVERIES = f"/c/{CONN_ID}/deliveries"


@dataclass(frozen=True)
class Case:
    """A page that is measured.

    :param look: its queries, of a store that is open; None where it is more than that.
    """

    name: str
    path: str
    look: Callable[[EventStore], object] | None = None


def listed(name: str, *, before: int | None = None, **asked: str) -> Case:
    """Return a page of the list.

    :param asked: as the form has it.
    """
    query = urlencode({**asked, **({} if before is None else {"before": before})})
    return Case(name, f"{DELIVERIES}?{query}", lambda store: look_through(store, asked, before))


def look_through(store: EventStore, asked: dict[str, str], before: int | None) -> object:
    """Send the queries of the page to a store."""
    outcome, number = asked.get("outcome"), asked.get("id")
    about: dict[str, Any] = {name: asked[name] for name in ("entity", "action") if name in asked}
    about["number"] = int(number) if number else None
    since, until = (
        datetime.fromisoformat(asked[name]).replace(tzinfo=timezone.utc) if name in asked else None
        for name in ("since", "until")
    )
    if outcome in ("refused", "rejected"):
        refusals = RefusalFilter(rejected=outcome == "rejected", at_from=since, at_until=until, **about)
        return store.activity_log.list_refusals(CONN_ID, refusals, before=before, limit=51)
    loaded_seq = find_loaded_seq(store) or 0
    if outcome in ("loaded", "pending"):
        about["up_to" if outcome == "loaded" else "above"] = loaded_seq
    wanted = DeliveryFilter(
        CONN_ID, only_anomalies=outcome == "unusual", received_from=since, received_until=until, **about
    )
    return list_deliveries(store, wanted, before=before)


def cases(setup: PageSetup, many: int) -> list[Case]:
    """Return every kind of page, and each filter with frequent, rare and no matches."""
    now = datetime.now(timezone.utc)
    span = timedelta(seconds=0.8 * many)
    times = {name: f"{now - span * part:%Y-%m-%dT%H:%M}" for name, part in (("since", 0.6), ("until", 0.5))}
    return [
        listed("first"),
        listed("next", before=many - 49),
        listed("in the middle", before=many // 2),
        listed("last", before=30),
        listed("entity, frequent", entity="time_entry"),
        listed("entity, rare", entity="client"),
        listed("entity, none", entity="task"),
        listed("action, rare", action="deleted"),
        listed("entity and action", entity="project", action="created"),
        listed("entity and action, rare", entity="client", action="deleted"),
        listed("entity and action, none", entity="tag", action="deleted"),
        listed("id of the oldest event", id=str(FIRST_EVENT)),
        listed("id of what changed", id=str(FIRST_ENTITY + 5)),
        listed("id, none", id="1"),
        listed("id and entity, none", id=str(FIRST_ENTITY + 5), entity="task"),
        listed("time", **times),
        listed("time and entity, rare", entity="client", **times),
        listed("time, none", since=f"{now + timedelta(days=1):%Y-%m-%dT%H:%M}"),
        listed("loaded", outcome="loaded"),
        listed("pending", outcome="pending"),
        listed("pending and entity, none", outcome="pending", entity="task"),
        listed("unusual", outcome="unusual"),
        listed("unusual and entity, none", outcome="unusual", entity="client", action="deleted"),
        listed("refused", outcome="refused"),
        listed("refused and time", outcome="refused", **times),
        listed("rejected", outcome="rejected"),
        listed("rejected and entity, none", outcome="rejected", entity="task"),
        Case(
            "timeline", f"{DELIVERIES}/{setup.rejected}", lambda store: build_timeline(store, store.get(setup.rejected))
        ),
        Case("health of all", "/"),
        Case("health of one, and charts", f"/c/{CONN_ID}"),
    ]


def refuse_many(setup: PageSetup, count: int) -> None:
    """Fill the refusals up to their limit, half of them rejections."""
    now = datetime.now(timezone.utc)
    with setup.place.open() as store:
        kept = []
        for number in range(count):
            moment = now - timedelta(minutes=count - number)
            if number % 2:
                kept.append(
                    RefusedDelivery(CONN_ID, "wrong_signature", f"Signature {number} is not ours.", 1, moment, moment)
                )
            else:
                about: dict[str, Any] = {"entity": "time_entry", "action": "updated", "entity_id": number}
                kept.append(
                    RefusedDelivery(CONN_ID, REJECTED, "start: missing", 1, moment, moment, seq=number + 1, **about)
                )
        store.activity_log.record_refusals(kept)


@contextmanager
def engine(name: str, folder: Path, many: int) -> Iterator[tuple[PageSetup, Callable[[], None]]]:
    """Yield a setup with one engine, and what makes the store cold."""
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres()) if name == "postgres" else None
        setup = stack.enter_context(
            running_page_setup(folder, many=many, dsn=server.dsn if server else None, padding=PADDING)
        )
        refuse_many(setup, MAX_REFUSALS - 1)
        yield setup, lambda: cool(setup, server)


def cool(setup: PageSetup, server: PostgresServer | None) -> None:
    """Remove the store from memory: restart the server, and drop its files from the page cache."""
    if server:
        server.restart()
    files = server.data.rglob("*") if server else setup.store_path.parent.glob("events.sqlite*")
    for path in files:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def took(what: Callable[[], object]) -> float:
    """Return the milliseconds of a call."""
    begin = time.perf_counter()
    what()
    return (time.perf_counter() - begin) * 1000


def measure_case(
    case: Case, setup: PageSetup, http: requests.Session, make_cold: Callable[[], None], *, cold: int, warm: int
) -> dict[str, Any]:
    """Return how long a page takes, over HTTP and its queries alone, in milliseconds."""

    def ask() -> None:
        answer = http.get(f"{setup.page}{case.path}", timeout=60)
        if answer.status_code != 200:
            raise SystemExit(f"{case.name}: {answer.status_code}")

    def look() -> None:
        if case.look is not None:
            with setup.place.build() as store:
                case.look(store)

    measured: dict[str, Any] = {"page": case.name}
    for name, what in (("http", ask), ("queries", look)):
        if what is look and case.look is None:
            continue
        times = []
        for _ in range(cold):
            make_cold()
            times.append(took(what))
        measured[f"{name}_cold_ms"] = {"median": round(statistics.median(times), 1), "max": round(max(times), 1)}
        what()
        times = [took(what) for _ in range(warm)]
        measured[f"{name}_warm_ms"] = {"median": round(statistics.median(times), 1), "max": round(max(times), 1)}
    return measured


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure every page over one engine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        engine(name, Path(folder), options.events) as (setup, make_cold),
        requests.Session() as http,
    ):
        http.trust_env = False
        http.headers.update(setup.sign_in(http, "viewer"))
        # What a process reads once, templates and modules, is not the store's.
        for path in ("/", f"/c/{CONN_ID}", DELIVERIES, f"{DELIVERIES}/1"):
            http.get(f"{setup.page}{path}", timeout=60)
        each = [
            measure_case(case, setup, http, make_cold, cold=options.cold, warm=options.warm)
            for case in cases(setup, options.events)
        ]
    return {
        "engine": name,
        "events": options.events,
        "pages": each,
        "slowest_warm_median_ms": max(one["http_warm_ms"]["median"] for one in each),
        "slowest_cold_median_ms": max(one["http_cold_ms"]["median"] for one in each),
        "ok": all(one[f"http_{state}_ms"]["median"] < LONGEST for one in each for state in ("cold", "warm")),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both engines, print JSON, and return 1 when a page takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=MANY, help="of the store (default: %(default)s)")
    parser.add_argument("--cold", type=int, default=3, help="times each page is asked for (default: %(default)s)")
    parser.add_argument("--warm", type=int, default=15, help="times each page is asked for (default: %(default)s)")
    parser.add_argument("--engine", choices=["sqlite", "postgres"], help="one of both")
    options = parser.parse_args(arguments)
    runs = [measure(name, options) for name in ([options.engine] if options.engine else ["sqlite", "postgres"])]
    result = {
        "benchmark": "page",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "limit_ms": LONGEST,
        "runs": runs,
        "ok": all(run["ok"] for run in runs),
    }
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
