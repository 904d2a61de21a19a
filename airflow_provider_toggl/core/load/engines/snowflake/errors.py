"""What the errors of Snowflake and its connector mean. This module imports no client library."""

from __future__ import annotations

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.contract import CONTINUES

_NO_OBJECT = (2003, 2043)
_RIGHTS = (
    "The role needs usage on warehouse, database and schema, and create table, view and stage in the schema "
    "(docs/warehouse-snowflake.md has the statements)."
)
_WAREHOUSE = "Name a warehouse in the connection's extra (warehouse) on which its role has usage."
_ALTERED = (
    "Somebody changed this package's tables: give the column its name and type back, or load into another schema."
)

ADVICE: dict[DatabaseFault, str] = {
    DatabaseFault.UNREACHABLE: (
        "Check account, region and proxy in the connection's extra, and that this host reaches Snowflake."
    ),
    DatabaseFault.BAD_CREDENTIALS: (
        "Check login, password, key or token of the connection, whether they have expired, and the user's network "
        "policy."
    ),
    DatabaseFault.UNKNOWN_DATABASE: "Name a database in the connection's extra (database) that its role may use.",
    DatabaseFault.MISSING_RIGHT: _RIGHTS,
    # Snowflake says the same of what does not exist and of what the role may not see.
    DatabaseFault.MISSING_OBJECT: f"It does not exist, or the role lacks a right on it. {_RIGHTS}",
    DatabaseFault.CANCELED: (
        "A time limit ended the statement (STATEMENT_TIMEOUT_IN_SECONDS of account, user or warehouse), or somebody "
        "canceled it."
    ),
}
"""What to do about faults, where ``faults.ADVICE`` does not fit."""

ADVICE_BY_CODE: dict[int, str] = {
    606: _WAREHOUSE,
    904: _ALTERED,
    1044: _ALTERED,
    2023: _ALTERED,
    90073: (
        "The warehouse's resource monitor has used up its credits: raise its quota, or wait for its next interval. "
        f"{CONTINUES}"
    ),
    253002: "This host must reach the storage behind Snowflake's stages; select system$allowlist() lists the hosts.",
    253003: "This host must reach the storage behind Snowflake's stages; select system$allowlist() lists the hosts.",
    390189: "Grant the role to the connection's user, or name another one in its extra (role).",
}


class ScriptFailed(Exception):
    """A commit's script failed and was rolled back.

    :param text: the error's code and text, as the script returns them.
    """

    def __init__(self, text: str) -> None:
        code, _, words = text.partition(" ")
        has_code = code.removeprefix("-").isdecimal()
        super().__init__(words if has_code else text)
        self.errno = int(code) if has_code else -1


def is_connector_error(error: BaseException) -> bool:
    """Return whether an error is one of snowflake-connector-python."""
    return any(kind.__module__.startswith("snowflake.connector") for kind in type(error).__mro__)


def is_missing(error: BaseException) -> bool:
    """Return whether an error says that an object does not exist."""
    return is_connector_error(error) and _code_of(error) in _NO_OBJECT


def is_unknown(error: BaseException) -> bool:
    """Return whether an error is the connector's, but not one of those that this package knows."""
    code = _code_of(error)
    is_other = faults.find_snowflake_fault(code) is DatabaseFault.OTHER and code not in ADVICE_BY_CODE
    return is_connector_error(error) and is_other


def translate(where: str, error: BaseException) -> WarehouseError | None:
    """Return an error of the connector or of a script as one of this package, None for another one."""
    if not isinstance(error, ScriptFailed) and not is_connector_error(error):
        return None
    code = _code_of(error)
    fault = faults.find_snowflake_fault(code)
    words = f"{where}: {first_line(error)}"
    if fault is DatabaseFault.LOCKED:
        return WarehouseLocked(
            f"{words} Another session has locked one of the tables: end it, or let fewer tasks load into this schema "
            f"at once. {CONTINUES}",
            fault=fault,
        )
    advice = ADVICE_BY_CODE.get(code) or ADVICE.get(fault) or faults.ADVICE.get(fault, "")
    if fault is DatabaseFault.MISSING_RIGHT:
        return WarehouseReadOnly(f"{words} {advice}", fault=fault)
    end = CONTINUES if fault in (DatabaseFault.UNREACHABLE, DatabaseFault.CONNECTION_LOST) else ""
    return WarehouseError(" ".join(part for part in (words, advice, end) if part), fault=fault)


def build_altered_error(where: str, what: str) -> WarehouseError:
    """Return the error for tables that somebody changed.

    :param what: the change, without a full stop.
    """
    return WarehouseError(f"{where}: {what}. {_ALTERED}", fault=DatabaseFault.MISSING_OBJECT)


def _code_of(error: BaseException) -> int:
    code = getattr(error, "errno", None)
    return code if isinstance(code, int) else -1
