"""Iceberg catalogs that count calls and fail on purpose. As a program it prints what a load costs, as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyiceberg.catalog import Catalog, load_catalog
from support.toggl_rows import NOON, at, entries, varied_entries

from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse

CALLS = ("load_table", "commit_table", "table_exists", "create_table", "create_namespace_if_not_exists")

STAGE, ROOT, PUBLISH = 1, 2, 3
"""The commits of a load of time entries, in order."""


class Killed(BaseException):
    """Ends work as the end of its process does."""


class WatchedCatalog:
    """A catalog whose calls are counted, and can fail.

    :param before: is called with the name of each call and the number of it, and may raise.
    :param after: the same, after the call.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.counts: Counter[str] = Counter()
        self.before: Callable[[str, int], None] = lambda name, number: None
        self.after: Callable[[str, int], None] = lambda name, number: None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._catalog, name)
        if name not in CALLS:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self.counts[name] += 1
            number = self.counts[name]
            self.before(name, number)
            result = found(*arguments, **options)
            self.after(name, number)
            return result

        return call

    def fail_at(self, commit: int, error: BaseException, *, late: bool = False) -> None:
        """Let a later commit fail.

        :param commit: which of the next commits, from 1.
        :param late: after it is done, so that only its answer is lost.
        """
        wanted = self.counts["commit_table"] + commit

        def fail(name: str, number: int) -> None:
            if name == "commit_table" and number == wanted:
                raise error

        setattr(self, "after" if late else "before", fail)


def properties_of(folder: Path) -> dict[str, str]:
    """Return the properties of a catalog in a folder."""
    return {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}"}


def watched(folder: Path, **options: Any) -> tuple[WatchedCatalog, IcebergStore, Warehouse]:
    """Return a catalog in a folder, a store in it and its warehouse."""
    folder.mkdir(parents=True, exist_ok=True)
    catalog = WatchedCatalog(load_catalog("tests", **properties_of(folder)))
    store = IcebergStore(lambda: catalog, "toggl", f"Iceberg {folder}")  # type: ignore[arg-type,return-value]
    return catalog, store, Warehouse(TableStoreEngine(store, **{"lock_timeout": 5, **options}))


def progress(page: int) -> Progress:
    return Progress("time_entries", "7", at(page), str(page), 1, NOON)


def cursor(target: Warehouse) -> str | None:
    found = target.find_state("time_entries", "7")
    return found.cursor if found else None


def current_files(store: IcebergStore, table: str = "time_entries") -> set[str]:
    """Return the data files that other engines see."""
    files = store.load_table(table, again=True).inspect.files()
    return set(files["file_path"].to_pylist())


def measure_load(rows: int) -> dict[str, Any]:
    """Return the calls to the catalog and the bytes written of a second load, of rows with greater keys."""
    with tempfile.TemporaryDirectory() as folder:
        catalog, _, target = watched(Path(folder))
        with target:
            target.load([entries(*range(1, 1001))], Progress("time_entries", "7", at(1), "1", 1, NOON))
            catalog.counts.clear()
            before = size_of(Path(folder))
            batch = varied_entries(rows, first_id=10_000)
            started = time.perf_counter()
            target.load([batch], Progress("time_entries", "7", at(2), "2", 1, NOON))
            seconds = time.perf_counter() - started
            written = size_of(Path(folder)) - before
        return {"rows": rows, "calls": dict(catalog.counts), "bytes": written, "seconds": round(seconds, 3)}


def size_of(folder: Path) -> int:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    for size in map(int, sys.argv[1:] or ("1000", "100000")):
        print(json.dumps(measure_load(size)))
