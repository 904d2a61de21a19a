"""What the server and the client report becomes an error with a cure."""

from __future__ import annotations

import pytest

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseReadOnly

pytest.importorskip("clickhouse_connect")
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from airflow_provider_toggl.core.load.engines.clickhouse.errors import translate_error


def server_error(code: int, text: str) -> DatabaseError:
    words = f"Received ClickHouse exception, code: {code}, server response: Code: {code}. DB::Exception: {text} "
    return DatabaseError(f"{words}(version 26.9.2.1 (official build)) (for url http://ch:8123)", code=code)


@pytest.mark.parametrize(
    ("code", "text", "fault", "cure"),
    [
        (516, "toggl: Authentication failed", DatabaseFault.BAD_CREDENTIALS, "Check login and password"),
        (497, "toggl: Not enough privileges", DatabaseFault.MISSING_RIGHT, "Grant the user"),
        (81, "Database toggl does not exist", DatabaseFault.UNKNOWN_DATABASE, "create it"),
        (60, "Unknown table expression identifier", DatabaseFault.MISSING_OBJECT, "put it back"),
        (47, "Unknown expression identifier `x`", DatabaseFault.MISSING_OBJECT, "put it back"),
        (386, "There is no supertype for types Int64, String", DatabaseFault.OTHER, "change it back"),
        (164, "toggl: Cannot execute query in readonly mode", DatabaseFault.READ_ONLY, "takes no writes"),
        (201, "Quota for user has been exceeded", DatabaseFault.OTHER, "wait for the end of its interval"),
        (202, "Too many simultaneous queries", DatabaseFault.TOO_MANY_CONNECTIONS, "max_concurrent_queries"),
        (241, "Memory limit exceeded", DatabaseFault.OUT_OF_MEMORY, "max_memory_usage"),
        (243, "Cannot reserve 1 MiB", DatabaseFault.DISK_FULL, "Free space"),
        (252, "Too many parts", DatabaseFault.OTHER, "load less often"),
        (159, "Timeout exceeded", DatabaseFault.CANCELED, "time limit"),
        (210, "I/O error", DatabaseFault.CONNECTION_LOST, "Nothing was lost"),
    ],
)
def test_a_code_of_the_server(code: int, text: str, fault: DatabaseFault, cure: str) -> None:
    error = translate_error(server_error(code, f"{text}. (SOME_NAME)"), "ClickHouse of connection 'w'")
    assert error is not None
    assert error.fault is fault
    assert isinstance(error, WarehouseReadOnly) == (fault in (DatabaseFault.READ_ONLY, DatabaseFault.MISSING_RIGHT))
    assert str(error).startswith(f"ClickHouse of connection 'w': ClickHouse error {code}: {text}. ")
    assert cure in str(error)
    assert "http://" not in str(error)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("HTTPConnectionPool(...): Failed to establish a new connection: [Errno 111]", DatabaseFault.UNREACHABLE),
        ("HTTPConnectionPool(...): Failed to resolve 'nowhere'", DatabaseFault.UNREACHABLE),
        ("('Connection aborted.', RemoteDisconnected('closed'))", DatabaseFault.CONNECTION_LOST),
        ("HTTPConnectionPool(...): Read timed out. (read timeout=1)", DatabaseFault.CONNECTION_LOST),
        ("SSLError(certificate verify failed)", DatabaseFault.OTHER),
    ],
)
def test_an_error_of_the_network(text: str, fault: DatabaseFault) -> None:
    error = translate_error(OperationalError(f"Error {text} executing HTTP request attempt 1 (http://ch:8123)"), "W")
    assert error is not None
    assert error.fault is fault


def test_a_setting_that_a_profile_forbids_is_a_server_that_takes_no_writes() -> None:
    error = translate_error(ProgrammingError("Setting async_insert is unknown or readonly"), "W")
    assert isinstance(error, WarehouseReadOnly)


def test_a_long_text_is_cut_and_other_errors_are_left_alone() -> None:
    error = translate_error(server_error(1, "x" * 10_000), "W")
    assert len(str(error)) < 600
    assert translate_error(ValueError("not the client's"), "W") is None
