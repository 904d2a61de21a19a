"""The page as an application: its routes, its static files, and its error pages."""

from __future__ import annotations

from importlib.resources import files
from urllib.parse import urlencode

from airflow.api_fastapi.app import API_ROOT_PATH
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.page import action_routes, deliveries, overview
from airflow_provider_toggl.page.rendering import render


def build_page() -> FastAPI:
    """Return the application that Airflow's API server mounts."""
    app = FastAPI(title="Toggl", docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=str(files(__package__) / "static")), name="static")
    for router in (overview.router, deliveries.router, action_routes.router):
        app.include_router(router)
    app.add_exception_handler(HTTPException, _refuse)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _refuse_values)  # type: ignore[arg-type]
    app.add_exception_handler(TogglError, _fail)
    return app


def _fail(request: Request, error: Exception) -> Response:
    return render(request, "error.html", status_code=503, code=503, reason=str(error))


def _refuse(request: Request, error: HTTPException) -> Response:
    """Redirect to the login, or show why the request was refused."""
    if error.status_code == 401 and request.method == "GET":
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        # Airflow's route to the login of any auth manager; the simple one of 3.2 alone would not return here.
        return RedirectResponse(f"{API_ROOT_PATH}api/v2/auth/login?{urlencode({'next': here})}", status_code=303)
    return render(request, "error.html", status_code=error.status_code, code=error.status_code, reason=error.detail)


def _refuse_values(request: Request, error: RequestValidationError) -> Response:
    names = ", ".join(dict.fromkeys(str(one["loc"][-1]) for one in error.errors()))
    return render(request, "error.html", status_code=422, code=422, reason=f"Invalid value of {names}.")
