"""What errors of pyiceberg, its catalogs and file systems mean."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.iceberg import errors

SECRET = "a-client-secret"


def error_of(module: str, *names: str, text: str = SECRET) -> Exception:
    """Return an error of a class with that name, of classes that derive from each other, the first from the second."""
    base: type[Exception] = Exception
    for name in reversed(names):
        base = type(name, (base,), {"__module__": module})
    return base(text)


CASES = [
    (error_of("pyiceberg.exceptions", "UnauthorizedError", "RESTError"), DatabaseFault.BAD_CREDENTIALS),
    (error_of("pyiceberg.exceptions", "AuthorizationExpiredError", "RESTError"), DatabaseFault.BAD_CREDENTIALS),
    (error_of("pyiceberg.exceptions", "OAuthError", "RESTError"), DatabaseFault.BAD_CREDENTIALS),
    (error_of("pyiceberg.exceptions", "ForbiddenError", "RESTError"), DatabaseFault.MISSING_RIGHT),
    (error_of("pyiceberg.exceptions", "TooManyRequestsError", "RESTError"), DatabaseFault.TOO_MANY_CONNECTIONS),
    (error_of("pyiceberg.exceptions", "CommitStateUnknownException", "RESTError"), DatabaseFault.CONNECTION_LOST),
    (error_of("pyiceberg.exceptions", "NoSuchTableError"), DatabaseFault.MISSING_OBJECT),
    (error_of("pyiceberg.exceptions", "SomethingNew"), DatabaseFault.OTHER),
    (error_of("requests.exceptions", "ConnectionError", "RequestException"), DatabaseFault.UNREACHABLE),
    (error_of("requests.exceptions", "ReadTimeout", "RequestException"), DatabaseFault.CONNECTION_LOST),
    (error_of("requests.exceptions", "ChunkedEncodingError", "RequestException"), DatabaseFault.OTHER),
    (error_of("botocore.exceptions", "ClientError", text="(AccessDeniedException) no"), DatabaseFault.MISSING_RIGHT),
    (error_of("botocore.exceptions", "ClientError", text="(ExpiredTokenException)"), DatabaseFault.BAD_CREDENTIALS),
    (error_of("botocore.exceptions", "ClientError", text="(ThrottlingException)"), DatabaseFault.TOO_MANY_CONNECTIONS),
    (error_of("botocore.exceptions", "NoCredentialsError", "BotoCoreError"), DatabaseFault.BAD_CREDENTIALS),
    (error_of("sqlalchemy.exc", "OperationalError", text="database is locked"), DatabaseFault.LOCKED),
    (error_of("sqlalchemy.exc", "OperationalError", text="unable to open database file"), DatabaseFault.READ_ONLY),
    (error_of("sqlalchemy.exc", "OperationalError"), DatabaseFault.UNREACHABLE),
    (sqlite3.OperationalError("database is locked"), DatabaseFault.LOCKED),
    (OSError(errno.ENOSPC, SECRET), DatabaseFault.DISK_FULL),
    (OSError(f"Cannot write to {SECRET}. Detail: [errno 28] No space left on device"), DatabaseFault.DISK_FULL),
    (PermissionError(errno.EACCES, SECRET), DatabaseFault.MISSING_RIGHT),
    (FileNotFoundError(SECRET), DatabaseFault.CORRUPT),
    (OSError("AWS Error ACCESS_DENIED during PutObject"), DatabaseFault.MISSING_RIGHT),
    (OSError("AWS Error NETWORK_CONNECTION during PutObject: curlCode: 7"), DatabaseFault.UNREACHABLE),
    (OSError("AWS Error SLOW_DOWN during PutObject"), DatabaseFault.TOO_MANY_CONNECTIONS),
    (OSError("something else"), DatabaseFault.OTHER),
]


@pytest.mark.parametrize(("error", "fault"), CASES, ids=[f"{type(e).__name__}-{f.value}" for e, f in CASES])
def test_an_error_has_a_fault_and_no_secret(error: Exception, fault: DatabaseFault) -> None:
    translated = errors.translate(error, "Iceberg x")
    assert translated is not None
    assert translated.fault is fault
    assert str(translated).startswith("Iceberg x: ")
    assert SECRET not in str(translated)
    assert isinstance(translated, WarehouseLocked) == (fault is DatabaseFault.LOCKED)
    assert isinstance(translated, WarehouseReadOnly) == (
        fault in (DatabaseFault.MISSING_RIGHT, DatabaseFault.READ_ONLY)
    )


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), KeyboardInterrupt(), AssertionError()])
def test_an_error_of_nobody_is_none_of_the_store(error: BaseException) -> None:
    assert errors.translate(error, "Iceberg x") is None
