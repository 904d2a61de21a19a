"""A real Airflow whose people have names and rights, a Toggl to act on, and a store of a million deliveries."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import requests
from psycopg.conninfo import conninfo_to_dict
from support.airflow_home import AirflowHome
from support.deliveries import HEADER, SECRET, sign
from support.event_stores import StorePlace
from support.many_events import fill_postgres_store, fill_store

from airflow_provider_toggl.core.client.limits.hourly_usage import Tally
from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import HostBook, token_digest
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.logbook import REJECTED, Received, Refused, reader_name
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.sandbox.server import SandboxProcess

MANY = 1_000_000
PASSWORDS = {"viewer": "the viewer's own", "operator": "the operator's own"}
CONN_ID = "toggl_default"


@dataclass(frozen=True)
class Office:
    """Where people of a company look at Toggl.

    :param rejected: the place of a delivery that could not be landed.
    :param place: where its event store is.
    """

    home: AirflowHome
    sandbox: SandboxProcess
    rejected: int
    place: StorePlace

    @property
    def page(self) -> str:
        """Where the page is."""
        return f"{self.home.url}/toggl-page"

    @property
    def store_path(self) -> Path:
        """The file of its event store."""
        return self.home.path / "toggl" / "events.sqlite"

    def sign_in(self, http: requests.Session, name: str) -> dict[str, str]:
        """Return the headers of somebody who is signed in."""
        body = {"username": name, "password": PASSWORDS[name]}
        token = http.post(f"{self.home.url}/auth/token", json=body, timeout=30).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def deliver(self, body: bytes, signature: str | None = None) -> int:
        """Deliver to the receiver beside the page; return the status of its answer."""
        with requests.Session() as http:
            http.trust_env = False
            headers = {HEADER: sign(body) if signature is None else signature}
            url = f"{self.home.url}/toggl/webhooks/{CONN_ID}"
            return http.post(url, data=body, headers=headers, timeout=30).status_code


@contextmanager
def running_office(path: Path, *, many: int = MANY, dsn: str | None = None, padding: int = 0) -> Iterator[Office]:
    """Yield it with its API server running.

    :param path: a new directory for all of it.
    :param many: deliveries of its store.
    :param dsn: of a PostgreSQL that keeps them in place of SQLite.
    :param padding: more bytes of each of them.
    """
    passwords = path / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    env = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "viewer:viewer,operator:op",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": CONN_ID,
    }
    with (
        SandboxProcess(["--entries", "50"]) as sandbox,
        AirflowHome(path / "airflow", env=env) as home,
    ):
        extra = {
            "workspace_id": sandbox.workspace_id,
            "requests_per_second": 200,
            "webhook_secret": SECRET,
            "webhook_callback_url": f"{home.url}/toggl/webhooks/{CONN_ID}",
        }
        if dsn is not None:
            extra["event_store_conn_id"] = "events"
            where = conninfo_to_dict(dsn)
            home.set_connection(
                "events",
                {
                    "conn_type": "postgres",
                    "host": where["host"],
                    "port": int(where["port"]),
                    "login": where["user"],
                    "schema": where["dbname"],
                },
            )
        home.set_connection(
            CONN_ID, {"conn_type": "toggl", "host": sandbox.url, "password": sandbox.token, "extra": extra}
        )
        last = datetime.now(timezone.utc) - timedelta(minutes=2)
        if dsn is None:
            place = StorePlace("sqlite", str(home.path / "toggl" / "events.sqlite"))
            fill_store(Path(place.where), many, last=last, padding=padding)
        else:
            place = StorePlace("postgres", dsn)
            fill_postgres_store(dsn, many, last=last, padding=padding)
        rejected = tell_two_days(place, sandbox.workspace_id)
        spend_two_days(home.path / "toggl" / "quota.sqlite", token_digest(sandbox.url, sandbox.token))
        home.start("api-server", timeout=300)
        yield Office(home, sandbox, rejected, place)


def spend_two_days(path: Path, token: str) -> None:
    """Leave in the quota book what requests of two days would have."""
    book, now = HostBook(path, token), time.time()
    book.set_lane("user", Lane(30, 22, now + 1800), now)
    book.set_lane("organization:9011", Lane(240, 171, now + 2400), now)
    with book._file.transaction() as db:
        tally = Tally(db, token)
        for back in range(48):
            at = now - back * 3600
            for _ in range(4 + back * 5 % 3):
                tally.count("user", 30, at)
            for _ in range(40 + (back * 37) % 60 + 70 * (back % 24 == 5)):
                tally.count("organization:9011", 240, at)


def tell_two_days(place: StorePlace, workspace_id: int) -> int:
    """Leave in the logbook what tasks and receivers of two days would have; return the place of a rejected one."""
    now = datetime.now(timezone.utc)
    with place.open() as store:
        logbook, last = store.logbook, store.last_seq()
        for back in range(47, -1, -1):
            at = now - timedelta(hours=back)
            busy = 40 + 35 * (7 <= at.hour <= 18) + (back * 7) % 11
            counts = {
                (CONN_ID, "stored"): busy,
                (CONN_ID, "duplicate"): back % 5,
                (CONN_ID, "wrong_signature"): 9 * (back in (3, 4)),
            }
            logbook.keep_received(Received(at, {name: count for name, count in counts.items() if count}))
        for stream, every in (("time_entries", 1), ("projects", 3), ("clients", 6)):
            for back in range(47 - 47 % every, -1, -every):
                ran_at = now - timedelta(hours=back, minutes=7)
                mark = (ran_at - timedelta(minutes=5)).isoformat()
                records.record_load(
                    logbook, CONN_ID, records.LoadRecord(workspace_id, stream, mark, ran_at, "duckdb_default.toggl")
                )
        summary = {
            "workspace_id": workspace_id,
            "first": "2026-01-01",
            "last": "2026-11-27",
            "entries": 48_213,
            "added": 2,
            "edited": 1,
            "deleted": 3,
            "unverified": {},
        }
        records.record_reconciliation(
            logbook,
            CONN_ID,
            summary,
            warehouse="duckdb_default.toggl",
            ran_at=now - timedelta(hours=5),
            refused=None,
        )
        logbook.note(
            reader_name("duckdb_default.toggl"),
            {"kind": "landing", "warehouse": "duckdb_default.toggl", "conn_id": None, "workspace_id": None},
        )
        watched = EventFilter(entities=("project",)).to_dict()
        logbook.note(reader_name("projects-dashboard"), {"kind": "watcher", "filter": watched})
        store.commit("duckdb_default.toggl", last - 20)
        store.commit("projects-dashboard", last)
        rejected = last - 60
        event = store.get(rejected).event
        told = Refused(
            CONN_ID,
            REJECTED,
            "payload.start: missing",
            1,
            now,
            now,
            size=len(event.body),
            seq=rejected,
            entity=event.entity,
            action=event.action,
            entity_id=event.entity_id,
            event_id=event.event_id,
        )
        logbook.keep_refused([told])
        return rejected
