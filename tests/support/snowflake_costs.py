"""What loads cost in Snowflake: the statements that a client sends, and the bytes that it uploads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from support.servers.snowflake import build_store
from support.toggl_rows import NOON, entries, varied_entries

from airflow_provider_toggl.core.load.engines.snowflake.store import SnowflakeStore
from airflow_provider_toggl.core.load.engines.table_store.engine import STATE_SECONDS, TableStoreEngine
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse


@dataclass
class Cost:
    """What a load cost."""

    rows: int
    statements: list[str] = field(default_factory=list)
    uploaded_bytes: int = 0
    seconds: float = 0.0


@contextmanager
def counted(store: SnowflakeStore, rows: int) -> Iterator[Cost]:
    """Count the statements of a store by their first word, and the bytes of the files that it uploads."""
    cost, put, begin = Cost(rows), store._put, time.perf_counter()
    connection = store._open_connection
    cursor_of = connection.cursor

    def counting(*args: Any) -> Any:
        cursor = cursor_of(*args)
        execute = cursor.execute

        def run(sql: str, *more: Any, **options: Any) -> Any:
            cost.statements.append(sql.split(maxsplit=1)[0])
            return execute(sql, *more, **options)

        cursor.execute = run
        return cursor

    def measured(folder: Path) -> None:
        cost.uploaded_bytes += sum(file.stat().st_size for file in folder.iterdir())
        put(folder)

    connection.cursor, store._put = counting, measured  # type: ignore[method-assign]
    try:
        yield cost
    finally:
        cost.seconds = round(time.perf_counter() - begin, 2)
        del connection.cursor, store._put


def measure_loads(
    port: int, schema: str, sizes: tuple[int, ...] = (1_000, 100_000), *, keep_history: bool = False
) -> list[dict[str, Any]]:
    """Return what loads of new, known and changed entries cost, as values for JSON.

    :param port: that of an emulator.
    """
    found = []
    for size in sizes:
        store = build_store(port, f"{schema}_{size}")
        with Warehouse(TableStoreEngine(store)) as target:
            # The first load of a session creates its stage.
            target.load([entries(1)])
            target.keep_history(keep_history)
            for name, seconds, text in (("new", 0, "a"), ("again", 0, "a"), ("changed", 5, "b")):
                batch = varied_entries(size, first_id=10, seconds=seconds, suffix=text)
                # Requests are added up, so a load after a request always changes the progress.
                progress = Progress("time_entries", "7", NOON, "{}", 0, NOON)
                # So that reading the state counts too.
                time.sleep(STATE_SECONDS + 0.1)
                with counted(store, size) as cost:
                    target.load([batch], progress)
                found.append({"load": name, **asdict(cost)})
    return found
