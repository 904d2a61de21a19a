"""What one process does with pyrate-limiter's PostgreSQL bucket; runs in the environment of the compared libraries.

Reads ``{"dsn", "url", "token", "rate", "seconds", "start", "number"}`` as JSON from its first argument. Without a URL
it waits for permits and sends nothing.
"""

from __future__ import annotations

import base64
import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from psycopg_pool import ConnectionPool
from pyrate_limiter import Limiter, PostgresBucket, Rate, SingleBucketFactory


def main(order: dict[str, Any]) -> dict[str, Any]:
    """Send requests until the time is over; return how many were answered, and the seconds of each permit."""
    start = Path(order["start"])
    with ConnectionPool(order["dsn"], min_size=1, max_size=1, open=True) as pool:
        rate = Rate(1, round(1000 / order["rate"]))
        limiter = Limiter(
            SingleBucketFactory(PostgresBucket(pool, "toggl", [rate]), schedule_leak=order["number"] == 0)
        )
        (start / f"ready-{order['number']}").touch()
        while not (start / "go").exists():
            time.sleep(0.005)
        end, answered = time.monotonic() + order["seconds"], 0
        while (left := end - time.monotonic()) > 0:
            if not limiter.try_acquire("toggl", timeout=left):
                continue
            if order.get("url"):
                _send(order["url"], order["token"])
            answered += 1
    return {"answered": answered}


def _send(url: str, token: str) -> None:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    secret = base64.b64encode(f"{token}:api_token".encode()).decode()
    connection.request("GET", "/api/v9/me", headers={"Authorization": f"Basic {secret}"})
    connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
    sys.stdout.flush()
