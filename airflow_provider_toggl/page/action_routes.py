"""Routes of actions: a page that asks for confirmation, then the action, with an entry in Airflow's audit log."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl, quote

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from fastapi import APIRouter, Depends, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.page.access import ActorDep, ConnectionDep
from airflow_provider_toggl.page.actions import ACTIONS, Action, ActionRequest
from airflow_provider_toggl.page.audit import begin_entry, end_entry
from airflow_provider_toggl.page.forms import SeqQuery, check_form, make_token
from airflow_provider_toggl.page.rendering import HEADERS, render

router = APIRouter()

MAX_FORM_BYTES = 16_384


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
