"""What the error codes of each engine mean, and what to do about them.

The tables of codes and texts, which the reference of the errors shows. Engines decide the few cases that have neither.
An error that is not listed is ``OTHER`` and has no advice. This module imports no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from airflow_provider_toggl.core.errors import DatabaseFault

Code = TypeVar("Code", int, str)


def _by_code(codes: Mapping[DatabaseFault, tuple[Code, ...]]) -> dict[Code, DatabaseFault]:
    return {code: fault for fault, some in codes.items() for code in some}


POSTGRES = _by_code(
    {
        DatabaseFault.CONNECTION_LOST: ("08", "25P03", "25P04", "57P01", "57P02", "57P05"),
        DatabaseFault.UNENCODABLE: ("22021", "22P05"),
        DatabaseFault.READ_ONLY: ("25006",),
        DatabaseFault.BAD_CREDENTIALS: ("28",),
        DatabaseFault.UNKNOWN_DATABASE: ("3D000", "57P04"),
        DatabaseFault.MISSING_OBJECT: ("3F000", "42703", "42883", "42P01"),
        DatabaseFault.LOCKED: ("40001", "40P01", "55006", "55P03"),
        DatabaseFault.MISSING_RIGHT: ("42501",),
        DatabaseFault.DISK_FULL: ("53100", "53400"),
        DatabaseFault.OUT_OF_MEMORY: ("53200",),
        DatabaseFault.TOO_MANY_CONNECTIONS: ("53300",),
        DatabaseFault.CANCELED: ("57014",),
        DatabaseFault.UNREACHABLE: ("57P03",),
        DatabaseFault.CORRUPT: ("58030", "XX"),
    }
)
"""By SQLSTATE, or by its first two characters for a whole class."""

POSTGRES_REFUSALS: dict[str, DatabaseFault] = {
    # The text of libpq for a wrong parameter or a failed TLS handshake already says what is wrong.
    "connection is bad: invalid ": DatabaseFault.OTHER,
    "SSL": DatabaseFault.OTHER,
    "certificate": DatabaseFault.OTHER,
    "authentication failed": DatabaseFault.BAD_CREDENTIALS,
    "no password supplied": DatabaseFault.BAD_CREDENTIALS,
    "no pg_hba.conf entry": DatabaseFault.BAD_CREDENTIALS,
    "is not permitted to log in": DatabaseFault.BAD_CREDENTIALS,
    "pg_hba.conf rejects connection": DatabaseFault.BAD_CREDENTIALS,
    "permission denied for database": DatabaseFault.MISSING_RIGHT,
    "too many clients already": DatabaseFault.TOO_MANY_CONNECTIONS,
    "too many connections": DatabaseFault.TOO_MANY_CONNECTIONS,
    "remaining connection slots are reserved": DatabaseFault.TOO_MANY_CONNECTIONS,
    'role "': DatabaseFault.BAD_CREDENTIALS,
    'database "': DatabaseFault.UNKNOWN_DATABASE,
}
"""By a part of the text, the first that matches, of a refused connection: libpq gives no SQLSTATE for it."""

MYSQL = _by_code(
    {
        DatabaseFault.UNREACHABLE: (1129, 2002, 2003, 2005),
        DatabaseFault.CONNECTION_LOST: (
            *(1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2055, 3169, 4031),
        ),
        DatabaseFault.BAD_CREDENTIALS: (1045, 1130, 1251, 1524, 1698, 1820, 1862, 2059, 3118, 3159, 4151),
        DatabaseFault.UNKNOWN_DATABASE: (1049,),
        DatabaseFault.TOO_MANY_CONNECTIONS: (1040, 1203, 1226),
        DatabaseFault.LOCKED: (1020, 1205, 1206, 1213, 3058, 3572),
        DatabaseFault.CANCELED: (1317, 1969, 3024),
        DatabaseFault.MISSING_RIGHT: (1044, 1142, 1143, 1227, 1370),
        DatabaseFault.READ_ONLY: (1290, 1792, 1836, 1874),
        DatabaseFault.DISK_FULL: (1021, 1114),
        DatabaseFault.OUT_OF_MEMORY: (1037, 1038, 1041),
        DatabaseFault.UNENCODABLE: (1366, 1977, 3854, 3988),
        DatabaseFault.MISSING_OBJECT: (1054, 1146, 1305),
        DatabaseFault.CORRUPT: (1034, 1194, 1195, 1712),
    }
)
"""By error number of MySQL, MariaDB and their drivers."""

_OPTION_PREVENTS = 1290
"""An option of the server prevents the statement: ``--read-only``, or another one that the text names."""

COLLISIONS = frozenset({"40001", "40P01", 1020, 1213})
"""Codes of ``DatabaseFault.LOCKED`` for deadlocks and serialization failures, where waiting longer does not help."""

COLLIDED = "It collided with another session, and the server ended one of the two: try again."

SQLITE = _by_code(
    {
        DatabaseFault.LOCKED: ("SQLITE_BUSY", "SQLITE_LOCKED"),
        DatabaseFault.CANCELED: ("SQLITE_INTERRUPT",),
        DatabaseFault.READ_ONLY: ("SQLITE_PERM", "SQLITE_READONLY", "SQLITE_CANTOPEN"),
        DatabaseFault.DISK_FULL: ("SQLITE_FULL",),
        DatabaseFault.OUT_OF_MEMORY: ("SQLITE_NOMEM",),
        DatabaseFault.CORRUPT: ("SQLITE_CORRUPT", "SQLITE_NOTADB"),
    }
)
"""By the name of the result code; an extended one begins with it."""

SQLITE_TEXTS = _by_code(
    {
        DatabaseFault.LOCKED: ("is locked",),
        DatabaseFault.READ_ONLY: ("readonly database", "unable to open database file"),
        DatabaseFault.DISK_FULL: ("disk is full",),
        DatabaseFault.OUT_OF_MEMORY: ("out of memory",),
        DatabaseFault.CORRUPT: ("malformed", "not a database"),
        DatabaseFault.MISSING_OBJECT: ("no such table", "no such column"),
    }
)
"""By a part of SQLite's text, where the code says less: before Python 3.11, and for missing tables and columns."""

DUCKDB = _by_code(
    {
        DatabaseFault.LOCKED: ("Could not set lock on file", "different configuration", "Conflict on"),
        DatabaseFault.DISK_FULL: ("No space left on device", "Disk quota exceeded"),
        DatabaseFault.OUT_OF_MEMORY: ("Out of Memory Error", "could not allocate"),
        DatabaseFault.READ_ONLY: ("Permission denied", "Permission Error", "read-only", "Read-only file system"),
        DatabaseFault.CORRUPT: ("not a valid DuckDB database file", "Corrupt"),
        DatabaseFault.CANCELED: ("INTERRUPT Error",),
        DatabaseFault.MISSING_OBJECT: ("Catalog Error",),
    }
)
"""By a part of the text, the first that matches: DuckDB has no codes."""

SNOWFLAKE = _by_code(
    {
        # 290…: HTTP answers other than 200.
        DatabaseFault.UNREACHABLE: (
            *(250001, 250003, 250005, 251011, 253002, 253003),
            *(290403, 290404, 290500, 290502, 290503, 290504),
        ),
        DatabaseFault.CONNECTION_LOST: (250002, 252010, 390111, 390112),
        DatabaseFault.BAD_CREDENTIALS: (
            *(251005, 251006, 251008, 251010, 390100, 390101, 390102, 390110, 390113, 390114, 390115, 390144, 390195),
            *(390303, 390318, 390422, 390432, 394300, 394301, 394302, 394303, 394304, 394305, 394306),
        ),
        DatabaseFault.UNKNOWN_DATABASE: (90105, 90106),
        DatabaseFault.LOCKED: (625,),
        DatabaseFault.CANCELED: (604, 630),
        DatabaseFault.MISSING_RIGHT: (3001, 390189),
        DatabaseFault.MISSING_OBJECT: (606, 904, 1044, 2003, 2023, 2043),
        DatabaseFault.CORRUPT: (603,),
    }
)
"""By error number of Snowflake and its connector."""

CLICKHOUSE = _by_code(
    {
        DatabaseFault.UNREACHABLE: (279,),
        DatabaseFault.CONNECTION_LOST: (32, 209, 210, 999),
        DatabaseFault.BAD_CREDENTIALS: (192, 193, 194, 516),
        DatabaseFault.UNKNOWN_DATABASE: (81,),
        DatabaseFault.TOO_MANY_CONNECTIONS: (202, 203),
        DatabaseFault.LOCKED: (373, 473),
        DatabaseFault.CANCELED: (159, 160, 394),
        DatabaseFault.MISSING_RIGHT: (291, 497),
        DatabaseFault.READ_ONLY: (164, 242),
        DatabaseFault.DISK_FULL: (243,),
        DatabaseFault.OUT_OF_MEMORY: (173, 241),
        DatabaseFault.MISSING_OBJECT: (8, 10, 16, 46, 47, 60),
        DatabaseFault.CORRUPT: (40, 246, 271, 354),
    }
)
"""By ClickHouse's error code."""

CLICKHOUSE_TEXTS: dict[str, DatabaseFault] = {
    "readonly": DatabaseFault.READ_ONLY,
    # Its text already says what is wrong with the certificate.
    "SSL": DatabaseFault.OTHER,
    "certificate": DatabaseFault.OTHER,
    "HTTP status 401": DatabaseFault.BAD_CREDENTIALS,
    "HTTP status 403": DatabaseFault.BAD_CREDENTIALS,
    "HTTP status 50": DatabaseFault.UNREACHABLE,
    "Failed to establish a new connection": DatabaseFault.UNREACHABLE,
    "Failed to resolve": DatabaseFault.UNREACHABLE,
    "Connection refused": DatabaseFault.UNREACHABLE,
    "ConnectTimeoutError": DatabaseFault.UNREACHABLE,
    "Connection aborted": DatabaseFault.CONNECTION_LOST,
    "Connection closed": DatabaseFault.CONNECTION_LOST,
    "Connection broken": DatabaseFault.CONNECTION_LOST,
    "Read timed out": DatabaseFault.CONNECTION_LOST,
}
"""By a part of the client's text, the first that matches, of an error without a code of the server."""

CLICKHOUSE_VIOLATED_CONSTRAINT = 469

CLICKHOUSE_ADVICE: dict[int, str] = {
    201: "A quota of the user is used up: wait for the end of its interval, or raise it (ALTER QUOTA).",
    202: "Raise max_concurrent_queries of the server or the user, or lower Airflow's parallelism.",
    241: "Raise max_memory_usage of the user or the server's memory, or load in smaller parts.",
    252: (
        "The server merges parts more slowly than they arrive: load less often or with fewer tasks at once, and look "
        "in system.merges for what holds it up."
    ),
    497: "Grant the user what it lacks; docs/warehouse-clickhouse.md lists all rights.",
    53: "If somebody changed the type of a column of this package, change it back, or load into another schema.",
    386: "If somebody changed the type of a column of this package, change it back, or load into another schema.",
}
"""What to do where the code says more than its fault."""

BIGQUERY = _by_code(
    {
        DatabaseFault.UNREACHABLE: (
            *("backendError", "badGateway", "internalError", "jobBackendError", "jobInternalError", "tableUnavailable"),
        ),
        DatabaseFault.BAD_CREDENTIALS: ("authError", "invalidUser", "required"),
        DatabaseFault.MISSING_RIGHT: ("accessDenied", "forbidden"),
        DatabaseFault.READ_ONLY: ("billingNotEnabled",),
        DatabaseFault.TOO_MANY_CONNECTIONS: ("jobRateLimitExceeded", "quotaExceeded", "rateLimitExceeded"),
        DatabaseFault.MISSING_OBJECT: ("notFound",),
        DatabaseFault.OUT_OF_MEMORY: ("resourcesExceeded", "responseTooLarge"),
        DatabaseFault.CANCELED: ("stopped", "timeout"),
    }
)
"""By the reason of BigQuery's API."""

BIGQUERY_TEXTS = _by_code(
    {
        DatabaseFault.LOCKED: ("concurrent update",),
        DatabaseFault.UNKNOWN_DATABASE: ("Not found: Project", "has not enabled BigQuery"),
        DatabaseFault.MISSING_OBJECT: (
            *("Unrecognized name", "is not present in table", "was not found", "not found in FROM clause"),
            *("cannot be assigned to", "cannot be inserted into", "No matching signature", "does not exist"),
            "does not have a column",
        ),
    }
)
"""By a part of BigQuery's text, where the reason is ``invalidQuery`` or ``notFound``."""

ADVICE: dict[DatabaseFault, str] = {
    DatabaseFault.UNREACHABLE: "Check host, port and network, and that the server runs.",
    DatabaseFault.CONNECTION_LOST: "The connection was cut.",
    DatabaseFault.BAD_CREDENTIALS: "Check login and password of the connection, and from where the server lets it in.",
    DatabaseFault.UNKNOWN_DATABASE: "Check the name of the database in the connection, or create it.",
    DatabaseFault.TOO_MANY_CONNECTIONS: (
        "Raise the limit on connections of the server or the user, or the one that is named, or lower Airflow's "
        "parallelism."
    ),
    DatabaseFault.MISSING_RIGHT: (
        "Grant the role of the connection what it lacks; to connect, that is CONNECT on the database."
    ),
    DatabaseFault.MISSING_OBJECT: (
        "If it is one of this package's, somebody removed or renamed it: put it back, or load into another schema."
    ),
    DatabaseFault.CANCELED: "A time limit of server, database or role ended the statement, or somebody canceled it.",
    DatabaseFault.READ_ONLY: "The server takes no writes: name the primary one.",
    DatabaseFault.DISK_FULL: "Free space on the disk of the database, or raise its limit.",
    DatabaseFault.OUT_OF_MEMORY: "Give the database more memory, or load in smaller parts.",
    DatabaseFault.UNENCODABLE: "Use a database with the encoding UTF8, or utf8mb4 in MySQL.",
    DatabaseFault.CORRUPT: "The server reports damage or an internal error: its administrator must look at it.",
}
"""What to do by default; engines replace it where they know more, and callers word ``LOCKED``."""


def find_postgres_fault(sqlstate: str) -> DatabaseFault:
    """Return what a SQLSTATE of PostgreSQL means."""
    return POSTGRES.get(sqlstate) or POSTGRES.get(sqlstate[:2], DatabaseFault.OTHER)


def find_mysql_number(error: Exception) -> object:
    """Return the number of a MySQL driver's error, or else its first argument, None without one."""
    return getattr(error, "errno", None) or (error.args[0] if error.args else None)


def find_mysql_fault(error: Exception) -> DatabaseFault:
    """Return what an error of a MySQL driver means."""
    number = find_mysql_number(error)
    # The driver's own, without a number: "MySQL Connection not available". It uses -1 for misuse too.
    if number in (-1, None, 0) and type(error).__name__ in ("OperationalError", "InterfaceError"):
        return DatabaseFault.CONNECTION_LOST
    if number == _OPTION_PREVENTS and "read-only" not in str(error).replace("_", "-"):
        return DatabaseFault.OTHER
    return MYSQL.get(number, DatabaseFault.OTHER) if isinstance(number, int) else DatabaseFault.OTHER


def find_snowflake_fault(code: int) -> DatabaseFault:
    """Return what an error number of Snowflake or its connector means."""
    return SNOWFLAKE.get(code, DatabaseFault.OTHER)


def find_sqlite_fault(error: Exception) -> DatabaseFault:
    """Return what an error of ``sqlite3`` means."""
    if isinstance(error, MemoryError):
        return DatabaseFault.OUT_OF_MEMORY
    name = "_".join(str(getattr(error, "sqlite_errorname", "")).split("_")[:2])
    return SQLITE.get(name) or find_by_text(SQLITE_TEXTS, str(error))


def find_clickhouse_fault(error: Exception) -> DatabaseFault:
    """Return what an error of ``clickhouse-connect`` means."""
    code = getattr(error, "code", None)
    if code is not None:
        return CLICKHOUSE.get(code, DatabaseFault.OTHER)
    return find_by_text(CLICKHOUSE_TEXTS, str(error))


def find_by_text(
    texts: dict[str, DatabaseFault], text: str, otherwise: DatabaseFault = DatabaseFault.OTHER
) -> DatabaseFault:
    """Return the fault of the first part that is found in a text."""
    return next((fault for part, fault in texts.items() if part in text), otherwise)


def first_line(error: object) -> str:
    """Return an error's first line as a sentence; further lines may quote a row."""
    return " ".join(str(error).split("\n", maxsplit=1)[0].split()).rstrip(".") + "."
