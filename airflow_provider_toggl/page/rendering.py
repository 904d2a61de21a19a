"""Templates, and the headers of every answer of the page."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.instants import rfc3339
from airflow_provider_toggl.core.operate.findings import worst_status
from airflow_provider_toggl.core.wording import ago

HEADERS = {
    # Bodies and reasons contain texts of others: no script runs and nothing loads except the package's own files.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

PARTS = {
    "subscription": "Subscription",
    "freshness": "Data freshness",
    "pending_events": "Pending events",
    "quota": "Quota",
    "reconciliation": "Last reconciliation",
    "waiting": "Waiting tasks",
}
"""The titles of the parts of a connection."""


def render(request: Request, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made from a template."""
    root = request.scope.get("root_path", "").rstrip("/")
    text = _environment().get_template(template).render(root=root, version=__version__, **values)
    return HTMLResponse(text, status_code=status_code, headers=HEADERS)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airflow_provider_toggl.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"PARTS": PARTS, "worst_status": worst_status}
    environment.filters |= {"clock": clock, "iso": rfc3339, "since": since, "whole": whole}
    return environment


def clock(moment: datetime | None) -> str:
    """Return a time for display, in UTC."""
    return "-" if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def since(moment: datetime | None) -> str:
    """Return the age of a time for display."""
    return "-" if moment is None else ago(moment, datetime.now(timezone.utc))


def whole(number: float | None) -> str:
    """Return a whole number for display, with thousands separators."""
    return "-" if number is None else f"{number:,.0f}"
