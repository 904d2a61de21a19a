"""What loads into ClickHouse cost in statements and bytes.

As a program (``python -m support.clickhouse_costs``) it prints the costs of pages of several sizes as JSON.
"""

from __future__ import annotations

import json
from typing import Any

from support.servers.clickhouse import ClickhouseServer, running_clickhouse
from support.toggl_rows import entries

from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
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


def measure(server: ClickhouseServer, schema: str, count: int) -> dict[str, int]:
    """Return what a page of new time entries costs, and the same page again."""
    target, client = open_counting(server, schema)
    with target:
        page = [entries(*range(1, count + 1))]
        target.load(page)
        found = {"rows": count, "statements": len(client.statements), "sent": client.sent, "received": client.received}
        client.forget()
        target.load(page)
        again = {
            "again_statements": len(client.statements),
            "again_sent": client.sent,
            "again_received": client.received,
        }
    return found | again


def main() -> None:
    """Print the costs of pages of several sizes."""
    with running_clickhouse() as server:
        print(json.dumps([measure(server, f"rows_{count}", count) for count in (50, 1_000, 100_000)]))


if __name__ == "__main__":
    main()
