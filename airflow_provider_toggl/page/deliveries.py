"""Deliveries: the list, one delivery's story, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, HTTPException, Request, status
from fastapi.responses import HTMLResponse

from airflow_provider_toggl.core.errors import EventNotFound, TogglError
from airflow_provider_toggl.core.events.listing import DeliveryFilter, list_deliveries
from airflow_provider_toggl.core.events.logbook import RefusalFilter
from airflow_provider_toggl.core.events.message import ACTIONS, ENTITIES
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.health.timeline import build_timeline, find_loaded_seq, find_rejected
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.page.access import ConnectionDep, ViewerDep
from airflow_provider_toggl.page.audit import find_entry
from airflow_provider_toggl.page.forms import Seq, SeqQuery
from airflow_provider_toggl.page.rendering import render

router = APIRouter()

LIMIT = 50
OUTCOMES = {
    "": "stored, all of them",
    "waiting": "stored, not landed yet",
    "landed": "landed",
    "odd": "stored, and unusual",
    "rejected": "stored, rejected by landing",
    "refused": "refused, not stored",
}


@dataclass(frozen=True)
class DeliveryQuery:
    """What the form of the list asks for, as it was typed."""

    outcome: str = ""
    entity: str = ""
    action: str = ""
    id: str = ""
    since: str = ""
    until: str = ""

    def link(self, **more: object) -> str:
        """Return the query of this form, with more in it."""
        given = {name: value for name, value in {**vars(self), **more}.items() if value not in ("", None)}
        return "?" + urlencode(given)

    def about(self) -> tuple[str, ...]:
        """Return which of its fields ask what a delivery is about."""
        return tuple(name for name in ("entity", "action", "id") if getattr(self, name))


def _parse(asked: DeliveryQuery, conn_id: str) -> DeliveryFilter:
    """Return the filter.

    :raises HTTPException: a field is not what it must be.
    """
    number = asked.id.strip().lstrip("#")
    if number and not (number.isascii() and number.lstrip("-").isdigit() and len(number) <= 40):
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"{asked.id[:40]!r} is no id: ids are numbers.")
    if asked.outcome not in OUTCOMES:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"There is no outcome {asked.outcome[:40]!r}.")
    return DeliveryFilter(
        conn_id,
        entity=asked.entity or None,
        action=asked.action or None,
        number=int(number) if number else None,
        odd=asked.outcome == "odd",
        received_from=_moment(asked.since),
        received_until=_moment(asked.until),
    )


def _moment(text: str) -> datetime | None:
    """Return the moment that a field of the form has, in UTC where it names no zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise HTTPException(
            status.HTTP_422_UNPROCESSABLE_CONTENT, f"{text[:40]!r} is no time: write it as 2026-03-02T08:00."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@router.get("/c/{conn_id}/deliveries")
def show_deliveries(
    request: Request,
    conn_id: ConnectionDep,
    asked: Annotated[DeliveryQuery, Depends()],
    before: SeqQuery = None,
) -> HTMLResponse:
    """Show deliveries, newest first.

    :param before: the place, or the number of the refusal, before which to go on.
    """
    wanted = _parse(asked, conn_id)
    values: dict[str, Any] = {
        "conn_id": conn_id,
        "asked": asked,
        "before": before,
        "outcomes": OUTCOMES,
        "entities": ENTITIES,
        "actions": ACTIONS,
    }
    try:
        with open_event_store(conn_id) as store:
            if asked.outcome in ("refused", "rejected"):
                return _show_refusals(request, store, wanted, before, values)
            landed = find_loaded_seq(store, conn_id)
            page = list_deliveries(store, _within(wanted, asked.outcome, landed), before=before, limit=LIMIT)
            rejected = find_rejected(store, conn_id, [one.seq for one in page.deliveries])
            last_seq = store.last_seq()
    except TogglError as error:
        return render(request, "refused.html", status=503, code=503, reason=str(error))
    return render(request, "deliveries.html", page=page, landed=landed, rejected=rejected, last_seq=last_seq, **values)


def _show_refusals(
    request: Request, store: EventStore, wanted: DeliveryFilter, before: int | None, values: Mapping[str, Any]
) -> HTMLResponse:
    asked: DeliveryQuery = values["asked"]
    # Of what was not stored nothing was verified, so nothing of it is known that these could be compared with.
    idle = asked.about() if asked.outcome == "refused" else ()
    refusals = RefusalFilter(
        rejected=asked.outcome == "rejected",
        entity=wanted.entity,
        action=wanted.action,
        number=wanted.number,
        at_from=wanted.received_from,
        at_until=wanted.received_until,
    )
    kept = [] if idle else store.logbook.refusals(wanted.conn_id, refusals, before=before, limit=LIMIT + 1)
    older = kept[LIMIT - 1].number if len(kept) > LIMIT else None
    return render(request, "refusals.html", kept=kept[:LIMIT], older=older, idle=idle, **values)


@router.get("/c/{conn_id}/deliveries/{seq}")
def show_delivery(
    request: Request,
    conn_id: ConnectionDep,
    reader: ViewerDep,
    seq: Seq,
    *,
    body: bool = False,
    done: SeqQuery = None,
) -> HTMLResponse:
    """Show one delivery's story.

    :param body: show its bytes, too.
    :param done: the audit entry of what was just done.
    """
    may_read = reader.may_read(conn_id)
    if body and not may_read:
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, f"To see what was delivered you need the right to read connection {conn_id!r}."
        )
    try:
        with open_event_store(conn_id) as store:
            stored = store.get(seq)
            if stored.event.conn_id != conn_id:
                raise HTTPException(status.HTTP_404_NOT_FOUND, f"Delivery {seq} is not of this connection.")
            steps = build_timeline(store, stored)
    except EventNotFound as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{error} Retention may have removed it.") from None
    except TogglError as error:
        return render(request, "refused.html", status=503, code=503, reason=str(error))
    return render(
        request,
        "delivery.html",
        conn_id=conn_id,
        stored=stored,
        steps=steps,
        body=stored.event.body.decode(errors="backslashreplace") if body else None,
        may_read=may_read,
        may_act=reader.may_act(conn_id),
        entry=None if done is None else find_entry(done, reader.name),
    )


def _within(wanted: DeliveryFilter, outcome: str, landed: int | None) -> DeliveryFilter:
    """Return the filter above or below the place up to which all is landed."""
    if outcome == "landed":
        return replace(wanted, up_to=landed or 0)
    if outcome == "waiting":
        return replace(wanted, above=landed or 0)
    return wanted
