"""A DuckDB file that several processes open in turn: waiting for it, opening it, closing it."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import duckdb

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.duckdb.file_lock import FileLock, LockTimeout
from airflow_provider_toggl.core.load.engines.duckdb.options import NO_OPTIONS, DuckdbOptions, configure, write_setting

logger = logging.getLogger(__name__)

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
_LOG_AFTER = 5.0
_HELD_BY_OTHERS = "Could not set lock on file"


class DuckdbFile:
    """The only connection of this process to a DuckDB file, from :meth:`open` to :meth:`close`.

    DuckDB lets one process have a file open. Processes of this package queue for a lock file. For any other process,
    such as an analyst's session, :meth:`open` tries again until the timeout.

    :param path: the database file; its directory is created if it does not exist.
    :param lock_timeout: seconds to wait for other processes.
    :param clock: the clock, replaced in tests.
    :param settings: DuckDB settings by name. They are set after opening, because DuckDB refuses a second connection
        of the same process that was opened with other settings.
    :param options: applied after the settings.
    """

    def __init__(
        self,
        path: Path,
        lock_timeout: float,
        clock: Clock,
        settings: dict[str, str | int | bool],
        options: DuckdbOptions = NO_OPTIONS,
    ) -> None:
        self.path = path
        self._lock_timeout = lock_timeout
        self._clock = clock
        self._settings = settings
        self._options = options.for_file(path)
        self._lock = FileLock(path.with_name(path.name + ".lock"), clock)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._opened_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether this process has the file open."""
        return self._connection is not None

    @property
    def held_seconds(self) -> float:
        """Seconds since this process opened the file, 0 while it is closed."""
        return self._clock.now() - self._opened_at if self.is_open else 0.0

    def open(self) -> duckdb.DuckDBPyConnection:
        """Return the connection; open the file first if it is closed, waiting for other processes.

        :raises WarehouseLocked: another process still has the file open after ``lock_timeout``.
        :raises WarehouseReadOnly: its directory or the lock file cannot be written.
        :raises ConfigurationError: DuckDB refuses what the connection says.
        :raises duckdb.Error: DuckDB cannot open it.
        """
        if self._connection is not None:
            return self._connection
        deadline = self._clock.now() + self._lock_timeout
        self._acquire_lock(deadline)
        try:
            connection = self._connect(deadline)
        except BaseException:
            self._lock.release()
            raise
        self._connection = connection
        self._opened_at = self._clock.now()
        try:
            for name, value in self._settings.items():
                connection.execute(write_setting(name, value)).fetchall()
            configure(connection, self._options)
        except BaseException:
            self.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file. DuckDB then writes its log into it."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        except duckdb.Error as error:
            raise translate_error(self.path, error) from error
        finally:
            self._lock.release()

    def _acquire_lock(self, deadline: float) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(deadline)
        except LockTimeout as error:
            raise self._locked(f"it is held by {error}, another load of this package") from None
        except OSError as error:
            raise _read_only(self.path, str(error)) from error

    def _connect(self, deadline: float) -> duckdb.DuckDBPyConnection:
        pause, started, is_logged = _FIRST_PAUSE, self._clock.now(), False
        while True:
            try:
                return duckdb.connect(str(self.path))
            except duckdb.Error as error:
                if _HELD_BY_OTHERS not in str(error):
                    raise
                left = deadline - self._clock.now()
                if left <= 0:
                    raise self._locked(f"DuckDB says: {error}") from error
                if not is_logged and self._clock.now() - started >= _LOG_AFTER:
                    logger.info("Waiting for %s. DuckDB says: %s", self.path, error)
                    is_logged = True
            self._clock.sleep(min(pause * random.uniform(0.5, 1.0), left))  # noqa: S311 - spreads the attempts, no secret depends on it
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _locked(self, words: str) -> WarehouseLocked:
        return WarehouseLocked(
            f"{self.path} could not be opened for writing within {self._lock_timeout:g} s: {words}. "
            "Close that session, or open it only for the time of a query, or wait longer (lock_timeout). "
            "Nothing was lost: what was loaded before is there, and the next run continues from it.",
            fault=DatabaseFault.LOCKED,
        )


def translate_error(path: Path, error: duckdb.Error) -> WarehouseError:
    """Return an error of DuckDB as one of this package, with DuckDB's own text and what to do."""
    words = str(error).strip()
    fault = faults.find_by_text(faults.DUCKDB, words)
    if _HELD_BY_OTHERS in words:
        return WarehouseLocked(words, fault=fault)
    if "different configuration" in words:
        return WarehouseLocked(
            f"{path} is open in this process with other settings (read-only?); close that connection first. "
            f"DuckDB says: {words}",
            fault=fault,
        )
    if fault is DatabaseFault.READ_ONLY:
        return _read_only(path, words)
    advice = faults.COLLIDED if fault is DatabaseFault.LOCKED else faults.ADVICE.get(fault, "")
    kind = WarehouseLocked if fault is DatabaseFault.LOCKED else WarehouseError
    return kind(f"{path}: {words} {advice}".rstrip(), fault=fault)


def _read_only(path: Path, words: str) -> WarehouseReadOnly:
    return WarehouseReadOnly(
        f"{path} cannot be written: {words}. The user that Airflow's tasks run as needs to write the file and the "
        "directory it is in.",
        fault=DatabaseFault.READ_ONLY,
    )
