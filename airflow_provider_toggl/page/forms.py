"""What comes with a request: numbers that a row may have, and what proves that a form was filled in here."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.providers.common.compat.sdk import conf
from fastapi import HTTPException, Path, Query, Request, status

HOUR = 3600.0

MOST = 2**63 - 1
"""No number of a row is greater, and no database takes a greater one."""
Seq = Annotated[int, Path(ge=0, le=MOST)]
SeqQuery = Annotated[int | None, Query(ge=0, le=MOST)]


def make_token(user_id: str, purpose: str, now: float | None = None) -> str:
    """Return the token of a form; it is good for one person, one purpose, and until the end of the next hour."""
    hour = int((time.time() if now is None else now) // HOUR)
    return _token(user_id, purpose, hour)


def check_form(request: Request, token: str, user_id: str, purpose: str, now: float | None = None) -> None:
    """Return where the form came from here.

    :raises HTTPException: it did not, or is too old.
    """
    if not _is_of_this_origin(request):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "The form came from another site; nothing was done.")
    hour = int((time.time() if now is None else now) // HOUR)
    given = token.encode("utf-8", "surrogatepass")
    if not any(hmac.compare_digest(given, _token(user_id, purpose, each).encode()) for each in (hour, hour - 1)):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "The form is too old; nothing was done. Open it again.")


def _token(user_id: str, purpose: str, hour: int) -> str:
    key = get_signing_key("api", "secret_key").encode()
    return hmac.new(key, f"toggl-page\n{user_id}\n{purpose}\n{hour}".encode(), hashlib.sha256).hexdigest()


def _is_of_this_origin(request: Request) -> bool:
    """Whether a browser says so; one that says nothing is left to the token."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # A proxy may pass another host on than the one that the browser asked.
    hosts = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    return urlsplit(origin).netloc in hosts - {""}
