"""What errors of Google's client libraries mean, and what to do about them."""

from __future__ import annotations

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from requests import exceptions as http

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.bigquery.statements import CONFLICT
from airflow_provider_toggl.core.load.engines.contract import CONTINUES
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict

LONGEST = 400
"""Characters shown of BigQuery's text."""

ALTERED = (
    "If the table or view is one of this package's, somebody removed, renamed or altered it: put it back as it was, or "
    "load into another schema."
)

_ADVICE = {
    **faults.ADVICE,
    DatabaseFault.UNREACHABLE: "Check the network between Airflow's workers and Google, and Google Cloud's status.",
    DatabaseFault.BAD_CREDENTIALS: (
        "Check the key file, the account or the impersonation of the connection: a key may be deleted, disabled or "
        "expired. Without either, the machine's own account is used, and it must exist."
    ),
    DatabaseFault.UNKNOWN_DATABASE: "Check the project of the connection, and that the BigQuery API is enabled in it.",
    DatabaseFault.TOO_MANY_CONNECTIONS: (
        "A quota of the project is used up or too many requests came at once: let tasks load less often, or raise "
        "the quota that is named, in the Google Cloud console."
    ),
    DatabaseFault.MISSING_OBJECT: f"{ALTERED} A dataset in another location than the connection's counts as missing.",
    DatabaseFault.READ_ONLY: "Enable billing for the project: the BigQuery sandbox takes no changes of rows.",
    DatabaseFault.OUT_OF_MEMORY: "Load in smaller parts, or give the project more slots.",
    DatabaseFault.CANCELED: "A person canceled the job, or a time limit of the project ended it.",
}

_ROLES = {
    "bigquery.jobs.": "roles/bigquery.jobUser on the project",
    "bigquery.datasets.create": "roles/bigquery.user on the project, or create the dataset yourself",
    "bigquery.": "roles/bigquery.dataEditor on the dataset",
}
"""What gives a permission, by its beginning."""


def translate(error: BaseException, where: str) -> WarehouseError | None:
    """Return an error of Google's libraries as one of this package, None for another.

    :param where: how errors name the store.
    """
    if isinstance(error, api.RetryError) and isinstance(error.cause, Exception):
        return translate(error.cause, where) or _build(DatabaseFault.UNREACHABLE, where, str(error.cause))
    if isinstance(error, (api.RetryError, http.RequestException, auth.TransportError, TimeoutError, ConnectionError)):
        # The client's text is nested and has a URL with its query.
        return _build(DatabaseFault.UNREACHABLE, where, f"no answer ({_innermost(error)})")
    if isinstance(error, auth.GoogleAuthError):
        # Google's text may quote its own answer, but nothing of a key.
        return _build(DatabaseFault.BAD_CREDENTIALS, where, str(error.args[0] if error.args else error))
    if isinstance(error, api.GoogleAPICallError):
        return _translate_call(error, where)
    return None


def _translate_call(error: api.GoogleAPICallError, where: str) -> WarehouseError:
    details = next((one for one in error.errors or () if isinstance(one, dict)), {})
    reason, text = str(details.get("reason") or ""), str(details.get("message") or error.message)
    if CONFLICT in text or "concurrent update" in text:
        return CommitConflict(where)
    fault = faults.BIGQUERY.get(reason, DatabaseFault.OTHER)
    if fault in (DatabaseFault.OTHER, DatabaseFault.MISSING_OBJECT):
        fault = faults.find_by_text(faults.BIGQUERY_TEXTS, text, fault)
    if isinstance(error, api.Unauthorized):
        fault = DatabaseFault.BAD_CREDENTIALS
    elif fault is DatabaseFault.OTHER and isinstance(error, api.ServerError):
        fault = DatabaseFault.UNREACHABLE
    return _build(fault, where, text, reason)


def _build(fault: DatabaseFault, where: str, text: str, reason: str = "") -> WarehouseError:
    words = first_line(text)[:LONGEST]
    words = f"{where}: {words}" + (f" (reason {reason})" if reason else "")
    advice = _ADVICE.get(fault, "")
    if fault is DatabaseFault.MISSING_RIGHT:
        role = next((role for permission, role in _ROLES.items() if permission in text), None)
        advice = f"Grant the account of the connection {role or 'what it lacks'}; docs/warehouse-bigquery.md lists all."
    if fault in (DatabaseFault.MISSING_RIGHT, DatabaseFault.READ_ONLY):
        return WarehouseReadOnly(f"{words} {advice}", fault=fault)
    end = CONTINUES if fault in (DatabaseFault.UNREACHABLE, DatabaseFault.TOO_MANY_CONNECTIONS) else ""
    return WarehouseError(" ".join(part for part in (words, advice, end) if part), fault=fault)


def _innermost(error: BaseException) -> str:
    """Return the name of the first cause."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return type(error).__name__
