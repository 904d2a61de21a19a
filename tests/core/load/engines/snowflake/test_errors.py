from __future__ import annotations

import pytest

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.snowflake import errors


class DriverError(Exception):
    """As the connector raises them."""

    def __init__(self, errno: int, text: str = "what it says\nand a row") -> None:
        super().__init__(text)
        self.errno = errno


DriverError.__module__ = "snowflake.connector.errors"


@pytest.mark.parametrize(
    ("code", "kind", "fault", "cure"),
    [
        (250001, WarehouseError, DatabaseFault.UNREACHABLE, "account, region and proxy"),
        (253003, WarehouseError, DatabaseFault.UNREACHABLE, r"system\$allowlist"),
        (390112, WarehouseError, DatabaseFault.CONNECTION_LOST, "next run continues"),
        (390100, WarehouseError, DatabaseFault.BAD_CREDENTIALS, "login, password, key or token"),
        (390144, WarehouseError, DatabaseFault.BAD_CREDENTIALS, "expired"),
        (390114, WarehouseError, DatabaseFault.BAD_CREDENTIALS, "expired"),
        (90105, WarehouseError, DatabaseFault.UNKNOWN_DATABASE, "extra"),
        (625, WarehouseLocked, DatabaseFault.LOCKED, "locked one of the tables"),
        (630, WarehouseError, DatabaseFault.CANCELED, "STATEMENT_TIMEOUT_IN_SECONDS"),
        (3001, WarehouseReadOnly, DatabaseFault.MISSING_RIGHT, "usage on warehouse, database and schema"),
        (390189, WarehouseReadOnly, DatabaseFault.MISSING_RIGHT, "Grant the role"),
        (2003, WarehouseError, DatabaseFault.MISSING_OBJECT, "lacks a right on it"),
        (606, WarehouseError, DatabaseFault.MISSING_OBJECT, "Name a warehouse"),
        (904, WarehouseError, DatabaseFault.MISSING_OBJECT, "name and type back"),
        (90073, WarehouseError, DatabaseFault.OTHER, "raise its quota"),
        (603, WarehouseError, DatabaseFault.CORRUPT, "administrator"),
        (1003, WarehouseError, DatabaseFault.OTHER, "what it says"),
    ],
)
def test_each_code_has_a_type_a_fault_and_a_cure(
    code: int, kind: type[WarehouseError], fault: DatabaseFault, cure: str
) -> None:
    for error in (DriverError(code), errors.ScriptFailed(f"{code} what it says\nand a row")):
        found = errors.translate("Snowflake x", error)
        assert found is not None
        assert type(found) is kind
        assert found.fault is fault
        assert str(found).startswith("Snowflake x: what it says.")
        assert "and a row" not in str(found)
        with pytest.raises(kind, match=cure):
            raise found


def test_other_errors_are_left_alone() -> None:
    assert errors.translate("x", ValueError("no")) is None
    assert not errors.is_missing(ValueError("no"))
    assert errors.is_missing(DriverError(2043))
    assert [errors.is_unknown(one) for one in (DriverError(100035), DriverError(90073), DriverError(606))] == [
        True,
        False,
        False,
    ]


def test_a_script_s_failure_without_a_code_keeps_its_text() -> None:
    failed = errors.ScriptFailed("something else")
    assert (failed.errno, str(failed)) == (-1, "something else")
    assert str(errors.ScriptFailed("-20001 own")) == "own"
