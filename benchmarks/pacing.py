"""Eight processes share one token; the server is a strict leaky bucket: its refusals, and the share of the rate used.

Each process has its own session, as a task of Airflow has, and shares only the state file with the others. The server
takes 200 ms for each response.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.errors import ApiError
from airflow_provider_toggl.sandbox.server import SandboxProcess

MIN_SHARE = 0.75
RESPONSE_SECONDS = 0.2
READY_SECONDS = 120.0


def measure(rate: float, seconds: float, processes: int = 8) -> dict[str, Any]:
    """Let processes send as fast as their shared state allows, and return the counts of the server.

    :param rate: requests per second of the bucket, whose capacity is one request.
    :param seconds: how long to send.
    """
    with SandboxProcess(["--entries", "2000"]) as sandbox, tempfile.TemporaryDirectory() as folder:
        sandbox.set(quota_enforced=False, bucket_enforced=True, bucket_rate=rate, bucket_capacity=1)
        sandbox.fault("slow", seconds=RESPONSE_SECONDS, times=None)
        order = {
            "url": sandbox.url, "token": sandbox.token, "workspace": sandbox.workspace_id, "rate": rate,
            "seconds": seconds, "folder": folder,
        }  # fmt: skip
        workers = [_start({**order, "number": number}) for number in range(processes)]
        try:
            _await_ready(Path(folder), processes)
            sandbox.reset_requests()
            (Path(folder) / "go").touch()
            answered = [int(worker.communicate(timeout=seconds + READY_SECONDS)[0]) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        seen = sandbox.requests()
    return _result(seen, answered, rate)


def _result(seen: dict[str, Any], answered: list[int], rate: float) -> dict[str, Any]:
    """Compute the share of the rate that was used between the first and the last accepted request."""
    refused = seen["by_status"].get("429", 0)
    times = sorted(_seconds_of(call["at"]) for call in seen["calls"] if call["status"] != 429)
    span = times[-1] - times[0]
    share = (len(times) - 1) / (rate * span)
    return {
        "processes": len(answered),
        "rate": rate,
        "seconds": round(span, 1),
        "requests": seen["total"],
        "refused_429": refused,
        "share_of_rate": round(share, 3),
        "requests_by_process": answered,
        "ok": refused == 0 and share >= MIN_SHARE,
    }


def _seconds_of(moment: str) -> float:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()


def _start(order: dict[str, Any]) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, "--work", json.dumps(order)], stdout=subprocess.PIPE, text=True)


def _await_ready(folder: Path, processes: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while len(list(folder.glob("ready-*"))) < processes:
        if time.monotonic() > deadline:
            raise TimeoutError("Not all processes started.")
        time.sleep(0.01)


def work(order: dict[str, Any]) -> int:
    """Send requests until the time is over, and return how many succeeded."""
    folder, workspace = Path(order["folder"]), order["workspace"]
    session = TogglSession(
        RequestsTransport(order["url"], order["token"]),
        RateLimitState(folder / "quota.sqlite", hash_token(order["url"], order["token"])),
        pace=Pace(order["rate"]),
        reserve=0,
    )
    (folder / f"ready-{order['number']}").touch()
    while not (folder / "go").exists():
        time.sleep(0.005)
    end, answered = time.monotonic() + order["seconds"], 0
    today = time.strftime("%Y-%m-%d")
    report = {"start_date": today, "end_date": today, "page_size": 50}
    while time.monotonic() < end:
        try:
            # Requests of different cost.
            if order["number"] % 2:
                session.request("GET", "/api/v9/me")
            else:
                session.request("POST", f"/reports/api/v3/workspace/{workspace}/search/time_entries", payload=report)
        except ApiError as error:
            sys.stderr.write(f"{error}\n")
        else:
            answered += 1
    return answered


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure at each rate, print JSON, and return 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0], help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each rate (default: %(default)s)")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        print(work(json.loads(options.work)))
        return 0
    runs = [measure(rate, options.seconds) for rate in options.rates]
    result = {
        "benchmark": "pacing",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "limits": {"refused_429": 0, "share_of_rate": MIN_SHARE},
        "runs": runs,
        "ok": all(run["ok"] for run in runs),
    }
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
