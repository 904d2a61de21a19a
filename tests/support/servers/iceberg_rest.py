"""An Iceberg REST catalog for tests: pyiceberg's catalog in SQLite behind the protocol's requests.

It checks requirements as pyiceberg does, so it says how this package speaks the protocol, and nothing about a product.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.rest import CreateTableRequest
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import CommitTableRequest

CODES: dict[type[Exception], int] = {
    CommitFailedException: 409,
    NamespaceAlreadyExistsError: 409,
    TableAlreadyExistsError: 409,
    NoSuchNamespaceError: 404,
    NoSuchTableError: 404,
    ValueError: 400,
}


class RestCatalog:
    """A running catalog.

    :param url: its address.
    :param refuse: is called with the method and path of each request, and returns the status to refuse it with, or
        None.
    :param asked: method and path of all requests.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.url = ""
        self.refuse: Callable[[str, str], int | None] = lambda method, path: None
        self.asked: list[tuple[str, str]] = []

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Return status and answer of a request."""
        self.asked.append((method, path))
        if status := self.refuse(method, path):
            return status, {"error": {"message": "refused", "type": "Refused", "code": status}}
        try:
            return self._do(method, path.removeprefix("/v1/").split("/"), body)
        except tuple(CODES) as error:
            status = next(code for kind, code in CODES.items() if isinstance(error, kind))
            return status, {"error": {"message": str(error), "type": type(error).__name__, "code": status}}

    def _do(self, method: str, parts: list[str], body: bytes) -> tuple[int, Any]:
        if parts == ["config"]:
            return 200, {"defaults": {}, "overrides": {}}
        if parts == ["namespaces"] and method == "POST":
            self._catalog.create_namespace(tuple(json.loads(body)["namespace"]))
            return 200, {"namespace": json.loads(body)["namespace"], "properties": {}}
        namespace = tuple(unquote(parts[1]).split("\x1f"))
        if len(parts) == 2:
            return (204 if self._catalog.namespace_exists(namespace) else 404), None
        if len(parts) == 3:
            optional = {"location": None, "partition-spec": None, "write-order": None}
            asked = CreateTableRequest.model_validate(optional | json.loads(body))
            table = self._catalog.create_table(
                (*namespace, asked.name),
                asked.table_schema,
                partition_spec=asked.partition_spec,
                sort_order=asked.write_order,
                properties=asked.properties,
            )
        elif method == "HEAD":
            return (204 if self._catalog.table_exists((*namespace, parts[3])) else 404), None
        else:
            table = self._catalog.load_table((*namespace, parts[3]))
            if method == "POST":
                commit = CommitTableRequest.model_validate_json(body)
                done = self._catalog.commit_table(table, commit.requirements, commit.updates)
                return 200, json.loads(done.model_dump_json())
        return 200, {
            "metadata-location": table.metadata_location,
            "metadata": json.loads(table.metadata.model_dump_json()),
            "config": {},
        }


@contextlib.contextmanager
def running_rest_catalog(folder: Path) -> Iterator[RestCatalog]:
    """Yield a catalog whose tables are in a folder."""
    properties = {"type": "sql", "uri": f"sqlite:///{folder}/rest.db", "warehouse": f"file://{folder}"}
    catalog = RestCatalog(load_catalog("rest", **properties))

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = catalog.answer(self.command, self.path.partition("?")[0], body)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_HEAD = do_POST = handle_one  # noqa: N815 - names of the base class

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    catalog.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield catalog
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
