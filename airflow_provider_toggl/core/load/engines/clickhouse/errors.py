"""Errors of ClickHouse's client as errors of this package."""

from __future__ import annotations

import re

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.contract import CONTINUES

_PREFIX = re.compile(r"^.*?DB::Exception: ", re.DOTALL)
_SUFFIX = re.compile(r"\s*\(for url [^)]*\)\s*$|\s*\(version [^)]*(\([^)]*\))?\)\s*$|\s*\([A-Z0-9_]+\)\s*$")
_MOST = 500


def find_code(error: BaseException) -> int | None:
    """Return ClickHouse's code of an error, None for an error without one."""
    return getattr(error, "code", None)


def translate_error(error: BaseException, where: str) -> WarehouseError | None:
    """Return an error of the client as one of this package, None for an error that is not the client's."""
    from clickhouse_connect.driver.exceptions import Error  # noqa: PLC0415 - only who uses ClickHouse has it

    if not isinstance(error, Error):
        return None
    fault, text = faults.find_clickhouse_fault(error), _text_of(error)
    code = find_code(error)
    number = "" if code is None else f" {code}"
    words = f"{where}: ClickHouse error{number}: {text}."
    advice = faults.CLICKHOUSE_ADVICE.get(code or 0) or faults.ADVICE.get(fault, "")
    message = " ".join(part for part in (words, advice) if part)
    if fault in (DatabaseFault.READ_ONLY, DatabaseFault.MISSING_RIGHT):
        return WarehouseReadOnly(message, fault=fault)
    if fault in (DatabaseFault.UNREACHABLE, DatabaseFault.CONNECTION_LOST):
        message = f"{message} {CONTINUES}"
    return WarehouseError(message, fault=fault)


def _text_of(error: BaseException) -> str:
    """Return the server's text without what the client and the server put around it."""
    text = " ".join(_PREFIX.sub("", str(error)).split())
    while (shorter := _SUFFIX.sub("", text)) != text:
        text = shorter
    return (text if len(text) <= _MOST else text[:_MOST] + "…").rstrip(".")
