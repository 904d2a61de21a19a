"""Validation of requests: row numbers, and the token that protects forms against cross-site requests."""

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

MAX_SEQ = 2**63 - 1
"""The greatest number that a row can have in any database."""
Seq = Annotated[int, Path(ge=0, le=MAX_SEQ)]
SeqQuery = Annotated[int | None, Query(ge=0, le=MAX_SEQ)]


def make_token(user_id: str, purpose: str, now: float | None = None) -> str:
    """Return the token of a form. It is valid for one person and purpose, until the end of the next hour."""
    hour = int((time.time() if now is None else now) // HOUR)
    return _token(user_id, purpose, hour)


def check_form(request: Request, token: str, user_id: str, purpose: str, now: float | None = None) -> None:
    """Check that a form was served to this person by this page.

    :raises HTTPException: it was not, or it is too old.
    """
    if not _is_of_this_origin(request):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "The form came from another site. Nothing was done.")
    hour = int((time.time() if now is None else now) // HOUR)
    sent = token.encode("utf-8", "surrogatepass")
    if not any(hmac.compare_digest(sent, _token(user_id, purpose, each).encode()) for each in (hour, hour - 1)):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "The form has expired. Nothing was done. Open it again.")


def _token(user_id: str, purpose: str, hour: int) -> str:
    key = get_signing_key("api", "secret_key").encode()
    return hmac.new(key, f"toggl-page\n{user_id}\n{purpose}\n{hour}".encode(), hashlib.sha256).hexdigest()


def _is_of_this_origin(request: Request) -> bool:
    """Whether the browser reports this origin, or none; then the token decides."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True
    # A proxy may pass on another host than the one in the browser's address.
    hosts = {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="") or "").netloc}
    return urlsplit(origin).netloc in hosts - {""}
