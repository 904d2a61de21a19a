"""A BigQuery emulator for tests: bqemulator, in an environment of its own that ``make clouds`` makes.

Run by that environment's Python, this file is the emulator. It differs from the installed one in two points:

- It needs no DuckDB extensions, which it would download. Geography and Avro are not there.
- It runs one script after the other. The real BigQuery isolates transactions and ends one of two that change the same
  table; the emulator runs statements of several scripts alternately.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.cloud import bigquery

    from airflow_provider_toggl.core.load.engines.bigquery.store import BigQueryStore

PROJECT = "toggl-test"
ENVIRONMENT = Path(__file__).parents[3] / ".venv-bigquery"


def find_python() -> Path | None:
    """Return the Python of the emulator's environment, None if it was not made."""
    python = Path(os.environ.get("TOGGL_BIGQUERY_PYTHON", ENVIRONMENT / "bin" / "python"))
    return python if python.exists() else None


class BigQueryServer:
    """A running emulator.

    :param port: 0 for a free one.
    """

    def __init__(self, port: int = 0) -> None:
        python = find_python()
        if python is None:
            raise FileNotFoundError("The environment of the emulator is missing: make clouds.")
        self._process = subprocess.Popen(
            [str(python), "-P", __file__, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                self.port = int(line.split()[-1])
                return
        raise RuntimeError(f"The emulator ended with {self._process.wait()}.")

    def stop(self) -> None:
        """End it at once, with all that is stored."""
        self._process.kill()
        self._process.communicate()


def connect(port: int | str) -> bigquery.Client:
    """Return a client of the emulator."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    options = ClientOptions(api_endpoint=f"http://127.0.0.1:{port}")
    return bigquery.Client(PROJECT, AnonymousCredentials(), client_options=options)  # type: ignore[no-untyped-call]


def build_store(port: int | str, dataset: str, retry_seconds: float = 60) -> BigQueryStore:
    """Return the store in a dataset of the emulator."""
    from airflow_provider_toggl.core.load.engines.bigquery.store import (
        BigQueryOptions,
        BigQueryStore,
    )

    return BigQueryStore(lambda: connect(port), dataset, BigQueryOptions(retry_seconds=retry_seconds))


def measure_loads(port: int | str, dataset: str, rows: int) -> list[dict[str, Any]]:
    """Return what loads of new, known and changed entries cost: jobs, requests, and bytes sent and received."""
    from google.auth.transport.requests import AuthorizedSession
    from support.toggl_rows import NOON, varied_entries

    from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
    from airflow_provider_toggl.core.load.values import Progress
    from airflow_provider_toggl.core.load.warehouse import Warehouse

    costs = dict.fromkeys(("jobs", "requests", "sent", "received"), 0)

    def count_request(response: Any, *_: object, **__: object) -> None:
        request = response.request
        path = request.path_url.split("?")[0]
        costs["requests"] += 1
        # Each upload is a load job, and begins with a POST to the same path.
        costs["jobs"] += request.method == "POST" and path.endswith("/jobs")
        costs["sent"] += len(request.body or b"") if isinstance(request.body, (bytes, str)) else 0
        costs["received"] += len(response.content)

    def connect_counting() -> bigquery.Client:
        client = connect(port)
        session = AuthorizedSession(client._credentials)
        session.hooks["response"].append(count_request)
        client._http_internal = session
        return client

    store = build_store(port, dataset)
    store._connect = connect_counting
    found = []
    with Warehouse(TableStoreEngine(store)) as target:
        target.prepare()
        for name, seconds, text in (("new", 0, "a"), ("again", 0, "a"), ("changed", 5, "b")):
            batch = varied_entries(rows, seconds=seconds, suffix=text)
            # So that reading the state counts too, as when the last load is more than two seconds ago.
            target._engine._revision = None  # type: ignore[attr-defined]
            costs.update(dict.fromkeys(costs, 0))
            target.load([batch], Progress("time_entries", "7", NOON, "{}", 0, NOON), collect_days=True)
            found.append({"load": name, "rows": rows, **costs})
    return found


async def serve(port: int) -> None:
    """Run the emulator until it is killed, and print its port."""
    from bqemulator.config import Settings
    from bqemulator.scripting.interpreter import ScriptInterpreter
    from bqemulator.server import EmulatorServer
    from bqemulator.storage.engine import DuckDBEngine

    DuckDBEngine._load_spatial = DuckDBEngine._load_format_extensions = lambda self: None
    turns, run = asyncio.Lock(), ScriptInterpreter.run

    async def run_alone(self: Any, *args: Any, **more: Any) -> Any:
        async with turns:
            return await run(self, *args, **more)

    ScriptInterpreter.run = run_alone
    server = EmulatorServer(Settings(rest_port=port, grpc_port=0, log_level="error"))
    await server.start()
    print(f"listening on {server.rest_port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
