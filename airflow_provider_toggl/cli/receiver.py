"""``receiver``: receive webhook deliveries in its own process, outside Airflow's API server."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import uvicorn

from airflow_provider_toggl.cli.output import use_airflow
from airflow_provider_toggl.core.errors import EventStoreUnavailable

if TYPE_CHECKING:
    from airflow_provider_toggl.core.webhooks.app import Receiver

DEFAULT_CONNECTION = "toggl_default"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument(
        "--connections",
        help="comma-separated IDs of the connections that receive (default: [toggl] receiver_connections, else "
        f"{DEFAULT_CONNECTION})",
    )
    parser.add_argument("--verbose", action="store_true", help="log each refused delivery with its reason")


def run(args: argparse.Namespace) -> int:
    """Receive until the process is terminated; return the exit code."""
    with use_airflow():
        from airflow_provider_toggl.hooks.receiver import build_receiver  # noqa: PLC0415 - loads Airflow
        from airflow_provider_toggl.hooks.settings import receiver_connections  # noqa: PLC0415 - loads Airflow

        from_arguments = tuple(name.strip() for name in (args.connections or "").split(",") if name.strip())
        conn_ids = from_arguments or receiver_connections() or (DEFAULT_CONNECTION,)
        check_ready(conn_ids)
    try:
        listener = _listen(args.host, args.port)
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    _log_to_stderr(logging.DEBUG if args.verbose else logging.INFO)
    with listener:
        build_server(build_receiver(conn_ids), listener, conn_ids).run([listener])
    return 0


def check_ready(conn_ids: Sequence[str]) -> None:
    """Raise if the connections cannot receive. An unavailable store is only a warning.

    :raises TogglError: a connection is missing or has no webhook secret, or its event store cannot be used for a reason
        that waiting does not remove.
    """
    from airflow_provider_toggl.hooks.receiver import get_receiving_connection, open_receiving_store  # noqa: PLC0415

    for store_conn_id in sorted({get_receiving_connection(conn_id).store for conn_id in conn_ids}):
        try:
            open_receiving_store(store_conn_id).close()
        except EventStoreUnavailable as error:
            print(f"Deliveries are answered 503 until the event store is available: {error}", file=sys.stderr)


def build_server(receiver: Receiver, listener: socket.socket, conn_ids: Sequence[str]) -> uvicorn.Server:
    """Return a server that prints its addresses once it listens."""
    host, port = listener.getsockname()[:2]
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            paths = (f"{base}/toggl/webhooks/{conn_id}" for conn_id in conn_ids)
            print("Receiving at", *paths, flush=True)

    return Server(
        uvicorn.Config(
            receiver,
            lifespan="on",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            # Longer than the usual timeout of reverse proxies, so that the proxy closes the connection.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _log_to_stderr(level: int) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    own = logging.getLogger("airflow_provider_toggl")
    own.addHandler(handler)
    own.setLevel(level)
    own.propagate = False
