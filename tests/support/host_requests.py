"""Functions that processes on hosts run (``Host.call``): they send requests through the hook, as tasks do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any


def send(*, start: str, number: int, seconds: float) -> dict[str, Any]:
    """Send requests until the time is over, and return how many were answered and which errors came.

    :param start: a folder; the process says there that it is ready, and waits until the file ``go`` is there.
    :param seconds: how long.
    """
    session = _ready(Path(start), number)
    end, answered, errors = time.monotonic() + seconds, 0, []
    while time.monotonic() < end:
        try:
            session.request("GET", "/api/v9/me")
        except Exception as error:  # noqa: BLE001 - the result names it
            errors.append(repr(error))
        else:
            answered += 1
    return {"answered": answered, "errors": errors}


def send_some(*, requests: int) -> dict[str, Any]:
    """Send a few requests, as one task does in a pod of its own."""
    from airflow_provider_toggl.hooks.toggl import TogglHook

    session = TogglHook().get_conn()
    for _ in range(requests):
        session.request("GET", "/api/v9/me")
    return {"answered": requests, "errors": []}


def claim(*, start: str, number: int, seconds: float, workspace: int) -> dict[str, Any]:
    """Use the share of the quota in each window, and return the times of the answers.

    :param seconds: how long.
    """
    from airflow_provider_toggl.core.errors import QuotaExhausted

    session = _ready(Path(start), number)
    end, times, refused = time.monotonic() + seconds, [], 0
    while time.monotonic() < end:
        try:
            with session.claiming(f"task-{number}"):
                while time.monotonic() < end:
                    session.request("GET", f"/api/v9/workspaces/{workspace}/tags")
                    times.append(time.time())
        except QuotaExhausted as spent:
            refused += not spent.known_before
            time.sleep(max(0.0, min(spent.resets_at.timestamp() - time.time(), end - time.monotonic())))
    return {"times": times, "refused": refused}


def _ready(start: Path, number: int) -> Any:
    from airflow_provider_toggl.hooks.toggl import TogglHook

    session = TogglHook().get_conn()
    (start / f"ready-{number}").touch()
    while not (start / "go").exists():
        time.sleep(0.005)
    return session
