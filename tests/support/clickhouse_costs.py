"""What loads into ClickHouse cost in statements and bytes.

As a program (``python -m support.clickhouse_costs``) it prints the costs of pages of several sizes as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from support.servers.clickhouse import ClickhouseServer, running_clickhouse
from support.toggl_rows import NOON, entries, varied_entries

from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse


class CountingClient:
    """A client that records its statements, with the bytes that it sends and receives."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.statements: list[str] = []
        self.sent = self.received = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "database":
            self._client.database = value
        else:
            super().__setattr__(name, value)

    def raw_query(self, query: str, *more: Any, **named: Any) -> bytes:
        """Run a query."""
        self.statements.append(query)
        answer: bytes = self._client.raw_query(query, *more, **named)
        self.sent += len(query)
        self.received += len(answer)
        return answer

    def raw_insert(self, table: str, columns: Any, block: bytes, **named: Any) -> Any:
        """Insert rows."""
        self.statements.append(f"insert into {table}")
        self.sent += len(block)
        return self._client.raw_insert(table, columns, block, **named)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def forget(self) -> None:
        """Begin to count again."""
        self.statements, self.sent, self.received = [], 0, 0


def open_counting(server: ClickhouseServer, schema: str) -> tuple[Warehouse, CountingClient]:
    """Return a warehouse that is prepared, and its client."""
    client = CountingClient(server.connect())
    target = Warehouse(TableStoreEngine(ClickhouseStore(lambda: client, schema, f"ClickHouse {schema}")))
    target.prepare()
    client.forget()
    return target, client


def measure_loads(server: ClickhouseServer, schema: str, rows: int) -> list[dict[str, Any]]:
    """Return what loads of new, known and changed entries cost, as values for JSON."""
    target, client = open_counting(server, schema)
    found = []
    with target:
        for name, seconds, text in (("new", 0, "a"), ("again", 0, "a"), ("changed", 5, "b")):
            batch = varied_entries(rows, seconds=seconds, suffix=text)
            # So that reading the state counts too, as when the last load is more than two seconds ago.
            target._engine._revision = None  # type: ignore[attr-defined]
            client.forget()
            target.load([batch], Progress("time_entries", "7", NOON, "{}", 0, NOON))
            found.append(
                {
                    "load": name,
                    "rows": rows,
                    "statements": len(client.statements),
                    "sent": client.sent,
                    "received": client.received,
                }
            )
    return found


def count_statements(server: ClickhouseServer, schema: str, loads: int) -> list[int]:
    """Return the statements of each of many loads of one new entry, with those that compact commits."""
    target, client = open_counting(server, schema)
    found = []
    with target:
        for number in range(1, loads + 1):
            target._engine._revision = None  # type: ignore[attr-defined]
            client.forget()
            target.load([entries(number)], Progress("time_entries", "7", NOON, str(number), 1, NOON))
            found.append(len(client.statements))
    return found


def main() -> None:
    """Print the costs of pages of several sizes."""
    with running_clickhouse() as server:
        print(json.dumps([one for rows in (50, 1_000, 100_000) for one in measure_loads(server, f"rows_{rows}", rows)]))


if __name__ == "__main__":
    main()
