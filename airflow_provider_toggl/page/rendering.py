"""Templates, and the headers that every answer of the page has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from airflow_provider_toggl import __version__
from airflow_provider_toggl.core.operate.health.facts import Level, ago, instant, span

HEADERS = {
    # Bodies and reasons are texts of others: no script runs and nothing loads but what the package brings.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


LEVELS: Mapping[Level, str] = {
    "attention": "attention",
    "unknown": "unknown",
    "waiting": "waiting",
    "good": "good",
    "unused": "not used",
}
PARTS = {
    "subscription": "Subscription",
    "freshness": "Freshness",
    "landing": "Events",
    "quota": "Quota",
    "reconciliation": "Reconciled",
    "waiting": "Tasks waiting",
}
"""What the states and the parts of a connection are called on the page."""


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made of a template."""
    root = request.scope.get("root_path", "").rstrip("/")
    text = _environment().get_template(template).render(root=root, version=__version__, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airflow_provider_toggl.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"LEVELS": LEVELS, "PARTS": PARTS}
    environment.filters |= {"clock": clock, "iso": instant, "since": since, "whole": whole, "span": span}
    return environment


def clock(moment: datetime | None) -> str:
    """Return a moment as people read it, in UTC."""
    return "-" if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def since(moment: datetime | None) -> str:
    """Return how long ago a moment was."""
    return "-" if moment is None else ago(moment, datetime.now(timezone.utc))


def whole(number: float | None) -> str:
    """Return a number with its thousands apart."""
    return "-" if number is None else f"{number:,.0f}"
