"""Routes of actions: a page that asks for confirmation, then the action, with an entry in Airflow's audit log.

A token protects the forms against cross-site requests.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlsplit

from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf
from fastapi import APIRouter, Depends, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.page.access import ActorDep, ConnectionDep, SeqQuery
from airflow_provider_toggl.page.actions import ACTIONS, Action, ActionRequest
from airflow_provider_toggl.page.audit import begin_entry, end_entry
from airflow_provider_toggl.page.rendering import HEADERS, render

router = APIRouter()

MAX_FORM_BYTES = 16_384
HOUR = 3600.0


def get_action(action: str) -> Action:
    """Return the action of the path.

    :raises HTTPException: there is none.
    """
    if action not in ACTIONS:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no action {action[:40]!r}.")
    return ACTIONS[action]


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a posted form.

    :raises HTTPException: it is not a form, or too large.
    """
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, "The form is too large.")
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise HTTPException(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, "The request is not a form.")
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


ActionDep = Annotated[Action, Depends(get_action)]
FormDep = Annotated[dict[str, str], Depends(read_form)]


@router.get("/c/{conn_id}/act/{action}")
def confirm(
    request: Request, conn_id: ConnectionDep, actor: ActorDep, chosen: ActionDep, delivery: SeqQuery = None
) -> HTMLResponse:
    """Show what the action does, and ask for confirmation.

    :param delivery: the ``seq`` of the delivery, for an action on one.
    """
    return render(
        request,
        "confirm.html",
        conn_id=conn_id,
        action=chosen,
        fields=chosen.fields(read_health(conn_id)),
        delivery=delivery,
        token=make_token(actor.user.get_id(), _purpose(conn_id, chosen)),
    )


@router.post("/c/{conn_id}/act/{action}")
def run_action(
    request: Request, conn_id: ConnectionDep, actor: ActorDep, chosen: ActionDep, form: FormDep
) -> RedirectResponse:
    """Run the action, and redirect to the page that it was started from."""
    check_form(request, form.pop("token", ""), actor.user.get_id(), _purpose(conn_id, chosen))
    number = begin_entry(chosen.name.replace("-", "_"), actor.name, {**form, "conn_id": conn_id})
    try:
        outcome, failed = chosen.run(ActionRequest(conn_id, actor.name, form, actor.may_act)), False
    except (TogglError, AirflowNotFoundException) as error:
        outcome, failed = str(error), True
    except BaseException as error:
        end_entry(number, f"{type(error).__name__}; see the API server's log", failed=True)
        raise
    end_entry(number, outcome, failed=failed)
    root = request.scope.get("root_path", "").rstrip("/")
    path = f"/deliveries/{quote(form['delivery'], safe='')}" if form.get("delivery") else ""
    return RedirectResponse(f"{root}/c/{quote(conn_id, safe='')}{path}?done={number}", 303, headers=HEADERS)


def _purpose(conn_id: str, action: Action) -> str:
    return f"{conn_id}/{action.name}"


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
