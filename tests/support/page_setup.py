"""An Airflow with users of different rights, a sandbox, and an event store of a million deliveries, for the page."""

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
from support.event_stores import StoreLocation, fill_postgres_store, fill_store

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.limits.state_file import StateFile
from airflow_provider_toggl.core.client.limits.token_state import Permit
from airflow_provider_toggl.core.events.activity_log import REJECTED, DeliveryCounts, RefusedDelivery, reader_key
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.timeline import LOADER
from airflow_provider_toggl.sandbox.server import SandboxProcess

MANY = 1_000_000
PASSWORDS = {"viewer": "the viewer's own", "operator": "the operator's own"}
CONN_ID = "toggl_default"
PARIS = "toggl_paris"
"""A connection with a disabled subscription and stale data."""


@dataclass(frozen=True)
class PageSetup:
    """The parts of the setup.

    :param rejected: the number of an event that could not be loaded.
    :param place: the location of the event store.
    """

    home: AirflowHome
    sandbox: SandboxProcess
    rejected: int
    place: StoreLocation

    @property
    def page(self) -> str:
        """Return the address of the page."""
        return f"{self.home.url}/toggl-page"

    @property
    def store_path(self) -> Path:
        """Return the file of the event store."""
        return self.home.path / "toggl" / "events.sqlite"

    def sign_in(self, http: requests.Session, name: str) -> dict[str, str]:
        """Sign a user in, and return the headers for their requests."""
        body = {"username": name, "password": PASSWORDS[name]}
        token = http.post(f"{self.home.url}/auth/token", json=body, timeout=30).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def deliver(self, body: bytes, signature: str | None = None) -> int:
        """Deliver a webhook body to the receiver; return the status of its answer."""
        with requests.Session() as http:
            http.trust_env = False
            headers = {HEADER: sign(body) if signature is None else signature}
            url = f"{self.home.url}/toggl/webhooks/{CONN_ID}"
            return http.post(url, data=body, headers=headers, timeout=30).status_code


@contextmanager
def running_page_setup(
    path: Path, *, many: int = MANY, dsn: str | None = None, padding: int = 0
) -> Iterator[PageSetup]:
    """Yield the setup with a running API server.

    :param path: a new directory for all files.
    :param many: the number of deliveries in the store.
    :param dsn: a PostgreSQL for the store; None: SQLite.
    :param padding: extra bytes in each delivery.
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
        home.set_connection(PARIS, {"conn_type": "toggl", "host": sandbox.url, "password": "0" * 32})
        last = datetime.now(timezone.utc) - timedelta(minutes=2)
        if dsn is None:
            place = StoreLocation("sqlite", str(home.path / "toggl" / "events.sqlite"))
            fill_store(Path(place.where), many, last=last, padding=padding)
        else:
            place = StoreLocation("postgres", dsn)
            fill_postgres_store(dsn, many, last=last, padding=padding)
        rejected = record_two_days_of_activity(place, sandbox.workspace_id)
        record_two_days_of_requests(home.path / "toggl" / "quota.sqlite", hash_token(sandbox.url, sandbox.token))
        home.start("api-server", timeout=300)
        yield PageSetup(home, sandbox, rejected, place)


def record_two_days_of_requests(path: Path, token: str) -> None:
    """Record two days of requests in the rate-limit state."""
    state, now = RateLimitState(path, token), time.time()
    state.record_quota("user", Lane(30, 22, now + 1800), now)
    state.record_quota("organization:9011", Lane(240, 171, now + 2400), now)
    store = StateFile(path)
    for back in range(48):
        for permit, times in (
            (Permit(0, "user", 30), 4 + back * 5 % 3),
            (Permit(0, "organization:9011", 240), 40 + (back * 37) % 60 + 70 * (back % 24 == 5)),
        ):
            for _ in range(times):
                store.update(token, now - back * 3600, lambda *_, permit=permit: permit)


def record_two_days_of_activity(place: StoreLocation, workspace_id: int) -> int:
    """Record two days of tasks and deliveries in the activity log; return the number of a rejected event."""
    now = datetime.now(timezone.utc)
    with place.open() as store:
        activity_log, last = store.activity_log, store.last_seq()
        for back in range(47, -1, -1):
            at = now - timedelta(hours=back)
            busy = 40 + 35 * (7 <= at.hour <= 18) + (back * 7) % 11
            counts = {
                (CONN_ID, "stored"): busy,
                (CONN_ID, "duplicate"): back % 5,
                (CONN_ID, "wrong_signature"): 9 * (back in (3, 4)),
            }
            activity_log.record_received(DeliveryCounts(at, {name: count for name, count in counts.items() if count}))
        for stream, every in (("time_entries", 1), ("projects", 3), ("clients", 6)):
            for back in range(47 - 47 % every, -1, -every):
                ran_at = now - timedelta(hours=back, minutes=7)
                mark = (ran_at - timedelta(minutes=5)).isoformat()
                where = {"workspace_id": workspace_id, "stream": stream, "warehouse": "duckdb_default.toggl"}
                records.record_load(activity_log, CONN_ID, **where, watermark=mark, ran_at=ran_at)
        stale = now - timedelta(days=2)
        where = {"workspace_id": 7, "stream": "time_entries", "warehouse": "duckdb_default.toggl_paris"}
        records.record_load(activity_log, PARIS, **where, watermark=stale.isoformat(), ran_at=stale)
        disabled = {"subscription_id": 41309, "description": "airflow", "enabled": False, "validated": True}
        activity_log.set_status(records.subscriptions_key(PARIS, 7), {"subscriptions": [disabled]})
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
            activity_log,
            CONN_ID,
            summary,
            warehouse="duckdb_default.toggl",
            ran_at=now - timedelta(hours=5),
            refused=None,
        )
        activity_log.set_status(
            reader_key("duckdb_default.toggl"),
            {"kind": LOADER, "warehouse": "duckdb_default.toggl", "conn_id": None, "workspace_id": None},
        )
        watched = EventFilter(entities=("project",)).to_dict()
        activity_log.set_status(reader_key("projects-dashboard"), {"kind": "watcher", "filter": watched})
        store.commit("duckdb_default.toggl", last - 20)
        store.commit("projects-dashboard", last)
        rejected = last - 60
        event = store.get(rejected).event
        refused = RefusedDelivery(
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
        activity_log.record_refusals([refused])
        return rejected
