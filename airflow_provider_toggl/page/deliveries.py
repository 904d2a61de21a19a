"""Routes of deliveries: the list with its filter, refused and rejected ones, and the timeline of one delivery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, status
from fastapi.responses import HTMLResponse

from airflow_provider_toggl.core.errors import EventNotFound
from airflow_provider_toggl.core.events.activity_log import RefusalFilter
from airflow_provider_toggl.core.events.entities import ACTIONS, ENTITIES
from airflow_provider_toggl.core.events.listing import list_deliveries
from airflow_provider_toggl.core.events.model import DeliveryFilter
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.health.timeline import build_timeline, find_loaded_seq, find_rejected
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.page.access import ConnectionDep, Seq, SeqQuery, ViewerDep
from airflow_provider_toggl.page.audit import find_entry
from airflow_provider_toggl.page.rendering import render

router = APIRouter()

LIMIT = 50
"""Deliveries per page."""
OUTCOMES = {
    "": "stored",
    "pending": "not loaded yet",
    "loaded": "loaded",
    "unusual": "unusual",
    "rejected": "rejected when loaded",
    "refused": "refused, not stored",
}


@dataclass(frozen=True)
class DeliveryQuery:
    """The values of the filter form, as typed."""

    outcome: str = ""
    entity: str = ""
    action: str = ""
    id: str = ""
    since: str = ""
    until: str = ""

    def link(self, **changes: object) -> str:
        """Return these values as the query of an address, with changes."""
        values = {name: value for name, value in {**vars(self), **changes}.items() if value not in ("", None)}
        return "?" + urlencode(values)

    def content_fields(self) -> tuple[str, ...]:
        """Return the names of the fields with a value that filter by the content of a delivery."""
        return tuple(name for name in ("entity", "action", "id") if getattr(self, name))


def _parse(query: DeliveryQuery, conn_id: str) -> DeliveryFilter:
    number = query.id.strip().lstrip("#")
    if number and not (number.isascii() and number.lstrip("-").isdigit() and len(number) <= 40):
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"{query.id[:40]!r} is not a number.")
    if query.outcome not in OUTCOMES:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"There is no outcome {query.outcome[:40]!r}.")
    return DeliveryFilter(
        conn_id,
        entity=query.entity or None,
        action=query.action or None,
        number=int(number) if number else None,
        only_anomalies=query.outcome == "unusual",
        received_from=_moment(query.since),
        received_until=_moment(query.until),
    )


def _moment(text: str) -> datetime | None:
    """Return the time in a field. Without a zone it is in UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise HTTPException(
            status.HTTP_422_UNPROCESSABLE_CONTENT, f"{text[:40]!r} is not a time: write it as 2026-03-02T08:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@router.get("/c/{conn_id}/deliveries")
def show_deliveries(
    request: Request,
    conn_id: ConnectionDep,
    query: Annotated[DeliveryQuery, Depends()],
    before: SeqQuery = None,
) -> HTMLResponse:
    """Show deliveries, newest first.

    :param before: show those with a lower ``seq``, or refusals with a lower number.
    """
    wanted = _parse(query, conn_id)
    values: dict[str, Any] = {"query": query, "outcomes": OUTCOMES, "entities": ENTITIES, "actions": ACTIONS}
    with open_event_store(conn_id) as store:
        if query.outcome in ("refused", "rejected"):
            found = _find_refused(store, wanted, query, before)
            return render(request, "refused.html", conn_id=conn_id, before=before, **values, **found)
        loaded_seq = find_loaded_seq(store, conn_id)
        if query.outcome == "loaded":
            wanted = replace(wanted, up_to=loaded_seq or 0)
        elif query.outcome == "pending":
            wanted = replace(wanted, above=loaded_seq or 0)
        page = list_deliveries(store, wanted, before=before, limit=LIMIT)
        rejected = find_rejected(store, conn_id, [one.seq for one in page.deliveries])
        last_seq = store.last_seq()
    values |= {"page": page, "loaded_seq": loaded_seq, "rejected": rejected, "last_seq": last_seq}
    return render(request, "deliveries.html", conn_id=conn_id, before=before, **values)


def _find_refused(
    store: EventStore, wanted: DeliveryFilter, query: DeliveryQuery, before: int | None
) -> dict[str, Any]:
    """Return the refused or rejected deliveries, where older ones begin, and the filters that cannot be used."""
    # The content of refused deliveries is not verified and not kept.
    unusable = query.content_fields() if query.outcome == "refused" else ()
    refusals = RefusalFilter(
        rejected=query.outcome == "rejected",
        entity=wanted.entity,
        action=wanted.action,
        number=wanted.number,
        at_from=wanted.received_from,
        at_until=wanted.received_until,
    )
    log = store.activity_log
    kept = [] if unusable else log.list_refusals(wanted.conn_id, refusals, before=before, limit=LIMIT + 1)
    older = kept[LIMIT - 1].number if len(kept) > LIMIT else None
    return {"kept": kept[:LIMIT], "older": older, "unusable": unusable}


@router.get("/c/{conn_id}/deliveries/{seq}")
def show_delivery(
    request: Request,
    conn_id: ConnectionDep,
    viewer: ViewerDep,
    seq: Seq,
    *,
    body: bool = False,
    done: SeqQuery = None,
) -> HTMLResponse:
    """Show the timeline of a delivery.

    :param body: show its body, too.
    :param done: the audit entry of an action that was just run.
    """
    may_read = viewer.may_read(conn_id)
    if body and not may_read:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"You may not read connection {conn_id!r}. Bodies need that permission."
        )
    try:
        with open_event_store(conn_id) as store:
            stored = store.get(seq)
            if stored.event.conn_id != conn_id:
                raise HTTPException(status.HTTP_404_NOT_FOUND, f"Delivery {seq} is not of this connection.")
            steps = build_timeline(store, stored)
    except EventNotFound as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{error} It may have been removed by retention.") from None
    return render(
        request,
        "delivery.html",
        conn_id=conn_id,
        stored=stored,
        steps=steps,
        body=stored.event.body.decode(errors="backslashreplace") if body else None,
        may_read=may_read,
        may_act=viewer.may_act(conn_id),
        entry=None if done is None else find_entry(done, viewer.name),
    )
