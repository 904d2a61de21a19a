"""Errors of Google's libraries; BigQuery is played by a server that gives the same answer to every request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytest.importorskip("google.cloud.bigquery")

from google.api_core.exceptions import GoogleAPIError
from google.auth import exceptions as auth
from requests.exceptions import RequestException
from support.servers.bigquery import build_store

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.bigquery.errors import translate
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict

RETRY_SECONDS = 0.3


@contextmanager
def answering(status: int, reason: str, message: str) -> Iterator[int]:
    """Yield the port of a server that refuses every request."""
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    body = json.dumps({"error": error}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the base's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def error_of(port: int) -> WarehouseError:
    store = build_store(port, "toggl", RETRY_SECONDS)
    store.open()
    with pytest.raises((GoogleAPIError, auth.GoogleAuthError, RequestException)) as raised:
        store.read_state()
    store.close()
    translated = store.translate(raised.value)
    assert translated is not None
    return translated


@pytest.mark.parametrize(
    ("status", "reason", "message", "fault", "cure"),
    [
        # The client tries to get a new token first, which the test's credentials cannot.
        (401, "authError", "", DatabaseFault.BAD_CREDENTIALS, "Check the key file"),
        (403, "quotaExceeded", "Quota exceeded: load jobs", DatabaseFault.TOO_MANY_CONNECTIONS, "raise the quota"),
        (403, "rateLimitExceeded", "Exceeded rate limits", DatabaseFault.TOO_MANY_CONNECTIONS, "load less often"),
        (404, "notFound", "Not found: Table p:d.tags", DatabaseFault.MISSING_OBJECT, "put it back"),
        (404, "notFound", "Not found: Project p", DatabaseFault.UNKNOWN_DATABASE, "Check the project"),
        (400, "invalidQuery", "Unrecognized name: mood at [1:8]", DatabaseFault.MISSING_OBJECT, "altered it"),
        (
            *(400, "invalidQuery", "Value of type STRING cannot be assigned to seq, which has type INT64"),
            *(DatabaseFault.MISSING_OBJECT, "altered it"),
        ),
        (400, "invalidQuery", "Syntax error: Unexpected )", DatabaseFault.OTHER, "Syntax error"),
        (400, "resourcesExceeded", "Resources exceeded", DatabaseFault.OUT_OF_MEMORY, "smaller parts"),
        (503, "backendError", "Try again", DatabaseFault.UNREACHABLE, "Nothing was lost"),
        (502, "", "Bad gateway", DatabaseFault.UNREACHABLE, "Nothing was lost"),
        (400, "stopped", "Job was stopped", DatabaseFault.CANCELED, "canceled the job"),
    ],
)
def test_each_reason_is_a_fault_with_a_cure(
    status: int, reason: str, message: str, fault: DatabaseFault, cure: str
) -> None:
    with answering(status, reason, message) as port:
        error = error_of(port)
    assert error.fault is fault
    assert message.split("\n", maxsplit=1)[0] in str(error)
    assert cure in str(error)
    assert "http" not in str(error)


@pytest.mark.parametrize(
    ("permission", "role"),
    [
        ("bigquery.jobs.create", r"roles/bigquery\.jobUser on the project"),
        ("bigquery.datasets.create", r"create the dataset yourself"),
        ("bigquery.datasets.get", r"roles/bigquery\.dataEditor on the dataset"),
        ("bigquery.tables.create", r"roles/bigquery\.dataEditor on the dataset"),
        ("bigquery.tables.getData", r"roles/bigquery\.dataEditor on the dataset"),
        ("bigquery.tables.updateData", r"roles/bigquery\.dataEditor on the dataset"),
        ("bigquery.tables.delete", r"roles/bigquery\.dataEditor on the dataset"),
    ],
)
def test_each_missing_permission_names_the_role_that_has_it(permission: str, role: str) -> None:
    message = f"Access Denied: Project p: User does not have {permission} permission in project p."
    with answering(403, "accessDenied", message) as port, pytest.raises(WarehouseReadOnly, match=role) as raised:
        raise error_of(port)
    assert raised.value.fault is DatabaseFault.MISSING_RIGHT
    assert permission in str(raised.value)


def test_a_project_without_billing_takes_no_changes() -> None:
    message = "Billing has not been enabled for this project. DML queries are not allowed in the free tier."
    with answering(403, "billingNotEnabled", message) as port, pytest.raises(WarehouseReadOnly, match="Enable billing"):
        raise error_of(port)


@pytest.mark.parametrize(
    "message",
    [
        "Query error: another commit came first at [2:1]",
        "Transaction is aborted due to concurrent update against table p:d.load_revision. Transaction ID: 1",
        "Could not serialize access to table p:d.tags due to concurrent update",
    ],
)
def test_a_commit_that_met_another_is_a_conflict(message: str) -> None:
    with answering(400, "invalidQuery", message) as port:
        assert isinstance(error_of(port), CommitConflict)


def test_a_server_that_is_not_there_is_given_up_after_the_time_for_repeating() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = error_of(taken.getsockname()[1])
    assert error.fault is DatabaseFault.UNREACHABLE
    assert "no answer (ConnectionRefusedError)" in str(error)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (auth.DefaultCredentialsError("Your default credentials were not found."), DatabaseFault.BAD_CREDENTIALS),
        (auth.RefreshError("invalid_grant: Account not found", {"error": "x"}), DatabaseFault.BAD_CREDENTIALS),
        (auth.TransportError("no route"), DatabaseFault.UNREACHABLE),
        (TimeoutError(), DatabaseFault.UNREACHABLE),
    ],
)
def test_errors_without_an_answer_of_bigquery(error: Exception, fault: DatabaseFault) -> None:
    translated = translate(error, "BigQuery dataset p.d")
    assert translated is not None
    assert translated.fault is fault
    assert str(translated).startswith("BigQuery dataset p.d: ")


def test_an_error_of_something_else_is_left_alone() -> None:
    assert translate(ValueError("mine"), "here") is None
