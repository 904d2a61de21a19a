"""What errors of pyiceberg, its catalogs and file systems mean.

Their texts are left out of messages: they may quote addresses with credentials, and rows.
"""

from __future__ import annotations

import errno
import re

from airflow_provider_toggl.core.databases.faults import ADVICE, SQLITE_TEXTS
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly

CLASSES: dict[str, DatabaseFault] = {
    # pyiceberg
    "UnauthorizedError": DatabaseFault.BAD_CREDENTIALS,
    "AuthorizationExpiredError": DatabaseFault.BAD_CREDENTIALS,
    "OAuthError": DatabaseFault.BAD_CREDENTIALS,
    "ForbiddenError": DatabaseFault.MISSING_RIGHT,
    "TooManyRequestsError": DatabaseFault.TOO_MANY_CONNECTIONS,
    "ServiceUnavailableError": DatabaseFault.UNREACHABLE,
    "ServerError": DatabaseFault.UNREACHABLE,
    "CommitStateUnknownException": DatabaseFault.CONNECTION_LOST,
    "WaitingForLockException": DatabaseFault.LOCKED,
    "NoSuchTableError": DatabaseFault.MISSING_OBJECT,
    "NoSuchNamespaceError": DatabaseFault.MISSING_OBJECT,
    "NoSuchIdentifierError": DatabaseFault.MISSING_OBJECT,
    "ResolveError": DatabaseFault.MISSING_OBJECT,
    "RESTError": DatabaseFault.OTHER,
    "BadRequestError": DatabaseFault.OTHER,
    # requests, urllib3, botocore, thrift
    "ConnectionError": DatabaseFault.UNREACHABLE,
    "ConnectTimeout": DatabaseFault.UNREACHABLE,
    "EndpointConnectionError": DatabaseFault.UNREACHABLE,
    "TTransportException": DatabaseFault.UNREACHABLE,
    "ReadTimeout": DatabaseFault.CONNECTION_LOST,
    "ConnectionClosedError": DatabaseFault.CONNECTION_LOST,
    "ReadTimeoutError": DatabaseFault.CONNECTION_LOST,
    "NoCredentialsError": DatabaseFault.BAD_CREDENTIALS,
    "PartialCredentialsError": DatabaseFault.BAD_CREDENTIALS,
    "RequestException": DatabaseFault.OTHER,
    "BotoCoreError": DatabaseFault.OTHER,
}
"""By the name of the error's class or of one that it derives from, the nearest first."""

CODES: dict[str, DatabaseFault] = {
    "AccessDenied": DatabaseFault.MISSING_RIGHT,
    "ACCESS_DENIED": DatabaseFault.MISSING_RIGHT,
    "Unauthorized": DatabaseFault.BAD_CREDENTIALS,
    "ExpiredToken": DatabaseFault.BAD_CREDENTIALS,
    "EXPIRED_TOKEN": DatabaseFault.BAD_CREDENTIALS,
    "InvalidAccessKeyId": DatabaseFault.BAD_CREDENTIALS,
    "INVALID_ACCESS_KEY_ID": DatabaseFault.BAD_CREDENTIALS,
    "UnrecognizedClient": DatabaseFault.BAD_CREDENTIALS,
    "InvalidSignature": DatabaseFault.BAD_CREDENTIALS,
    "SignatureDoesNotMatch": DatabaseFault.BAD_CREDENTIALS,
    "SIGNATURE_DOES_NOT_MATCH": DatabaseFault.BAD_CREDENTIALS,
    "Throttling": DatabaseFault.TOO_MANY_CONNECTIONS,
    "SLOW_DOWN": DatabaseFault.TOO_MANY_CONNECTIONS,
    "ConcurrentModification": DatabaseFault.LOCKED,
    "NO_SUCH_BUCKET": DatabaseFault.MISSING_OBJECT,
    "EntityNotFound": DatabaseFault.MISSING_OBJECT,
    "NETWORK_CONNECTION": DatabaseFault.UNREACHABLE,
    "curlCode: 7": DatabaseFault.UNREACHABLE,
    "curlCode: 6": DatabaseFault.UNREACHABLE,
}
"""By a part of an error code of AWS, as botocore or Arrow's file system writes it."""

_ERRNOS = {
    errno.EACCES: DatabaseFault.MISSING_RIGHT,
    errno.EPERM: DatabaseFault.MISSING_RIGHT,
    errno.EROFS: DatabaseFault.READ_ONLY,
    errno.ENOSPC: DatabaseFault.DISK_FULL,
    errno.EDQUOT: DatabaseFault.DISK_FULL,
    errno.ENOENT: DatabaseFault.CORRUPT,
    errno.ENOTDIR: DatabaseFault.UNREACHABLE,
}
_ERRNO = re.compile(r"\[errno (\d+)\]", re.IGNORECASE)

_WORDS = {
    DatabaseFault.BAD_CREDENTIALS: "The catalog or the storage refused the credentials, or they have expired. "
    "Correct login, password or extra of the connection.",
    DatabaseFault.MISSING_RIGHT: "A right is missing, on the catalog or on the storage. docs/warehouse-iceberg.md "
    "lists the rights.",
    DatabaseFault.UNREACHABLE: "The catalog or the storage cannot be reached.",
    DatabaseFault.CONNECTION_LOST: "The connection broke, so it is unknown whether the last change was stored; "
    "the next load finds out.",
    DatabaseFault.TOO_MANY_CONNECTIONS: "The catalog or the storage refused more requests for now. Load less "
    "often, or raise the quota.",
    DatabaseFault.MISSING_OBJECT: "A table, namespace or bucket is missing. Somebody removed it, or the connection "
    "names another catalog.",
    DatabaseFault.CORRUPT: "A file that a table needs is missing. Somebody removed files of a snapshot that still "
    "counts; roll the table back to a complete snapshot, or load into another schema.",
    DatabaseFault.LOCKED: "Another process holds a lock in the catalog.",
}


def translate(error: BaseException, where: str) -> WarehouseError | None:
    """Return an error of a library as one of this package, None for another error."""
    fault = find_fault(error)
    if fault is None:
        return None
    text = f"{where}: {type(error).__name__}. {_WORDS.get(fault) or ADVICE.get(fault, '')}".strip()
    if fault is DatabaseFault.LOCKED:
        return WarehouseLocked(text, fault=fault)
    if fault in (DatabaseFault.MISSING_RIGHT, DatabaseFault.READ_ONLY):
        return WarehouseReadOnly(text, fault=fault)
    return WarehouseError(text, fault=fault)


def find_fault(error: BaseException) -> DatabaseFault | None:
    """Return why a library's operation failed, None for an error that is not a library's."""
    for one in type(error).__mro__:
        package = one.__module__.partition(".")[0]
        if package in ("sqlalchemy", "sqlite3"):
            return _find_text(str(error), SQLITE_TEXTS) or DatabaseFault.UNREACHABLE
        if package in ("botocore", "google", "azure") and one.__name__ not in CLASSES:
            return _find_text(str(error), CODES) or DatabaseFault.OTHER
        if package != "builtins" and one.__name__ in CLASSES:
            return _find_text(str(error), CODES) or CLASSES[one.__name__]
    if isinstance(error, OSError):
        return _find_by_number(error) or _find_text(str(error), CODES) or DatabaseFault.OTHER
    return DatabaseFault.OTHER if type(error).__module__.startswith(("pyiceberg", "pyarrow")) else None


def _find_text(text: str, table: dict[str, DatabaseFault]) -> DatabaseFault | None:
    return next((fault for part, fault in table.items() if part in text), None)


def _find_by_number(error: OSError) -> DatabaseFault | None:
    """Return the fault by the number of the operating system, which Arrow's file system writes into the text."""
    written = _ERRNO.search(str(error))
    number = error.errno or (int(written[1]) if written else None)
    if number is None and isinstance(error, FileNotFoundError):
        number = errno.ENOENT
    return _ERRNOS.get(number) if number is not None else None
