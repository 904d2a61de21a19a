"""The page as an application: its routes, what it answers to those who are not signed in, and its files."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import urlencode

from airflow.api_fastapi.app import API_ROOT_PATH
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from airflow_provider_toggl.page import action_routes, deliveries, overview
from airflow_provider_toggl.page.rendering import render


def build_page() -> FastAPI:
    """Return the application, to be mounted in Airflow's API server."""
    app = FastAPI(title="Toggl", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=str(files(__package__) / "static")), name="static")
    for router in (overview.router, deliveries.router, action_routes.router):
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refuse)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _refuse_values)  # type: ignore[arg-type]
    return app


def _refuse(request: Request, error: HTTPException) -> Response:
    """Send whoever is not signed in to do so; tell all others why not."""
    if error.status_code == 401 and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        # Airflow's own way to any auth manager's login; of itself, 3.2's simple one does not know where to go back to.
        return RedirectResponse(f"{API_ROOT_PATH}api/v2/auth/login?{urlencode({'next': here})}", status_code=303)
    return render(request, "refused.html", status=error.status_code, code=error.status_code, reason=error.detail)


def _refuse_values(request: Request, error: RequestValidationError) -> Response:
    """Tell which value of the address or of the form is not what it must be."""
    names = ", ".join(dict.fromkeys(str(one["loc"][-1]) for one in error.errors()))
    return render(request, "refused.html", status=422, code=422, reason=f"What was given for {names} is of no use.")
