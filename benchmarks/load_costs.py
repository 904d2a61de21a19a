"""How many statements and bytes loads of 1,000 and of 100,000 rows send to Snowflake, BigQuery, ClickHouse and Iceberg.

Prints one JSON object. ``make bench-clouds`` runs it in the environment of ``make clouds``. Snowflake is fakesnow's
server, BigQuery is bqemulator's, ClickHouse is its own engine (chDB) behind HTTP, and Iceberg's tables are on this
machine's disk. The clients are those that tasks use, so they send the same to a real server. What a server charges is
not measured.

Time entries are loaded as new ones, then again, then all of them changed. The state is read by each of these loads, as
when the one before is more than two seconds ago. One statement is what a client sends at once:

- in Snowflake a query, an upload (PUT), or the script that commits. Bytes are those of uploaded files;
- in BigQuery a job: a query, an upload, or the script that commits;
- in ClickHouse a query or an insert;
- in Iceberg a call of the catalog. Bytes are those of all files written.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.limits import Limit, report

ROOT = Path(__file__).parents[1]
SIZES = (1_000, 100_000)
MOST_STATEMENTS = 6
SERIES = 32
"""Loads of one row each into ClickHouse, which compacts every 16 commits."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="*", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--rows", nargs="*", type=int, default=SIZES)
    options = parser.parse_args()
    result = measure(options.engines, options.rows)
    return report(result, limits_of(result))


def measure(engines: Sequence[str], sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs of loads of several sizes into several engines."""
    sys.path.insert(0, str(ROOT / "tests"))
    return {
        "benchmark": "load_costs",
        "cores": os.cpu_count(),
        "engines": {engine: MEASURES[engine](sizes) for engine in engines},
    }


def limits_of(result: dict[str, Any]) -> list[Limit]:
    """Return the limits of a measurement: the load with the most statements of each engine, and the mean of many."""
    limits = []
    for engine, measured in result["engines"].items():
        most = max(load["statements"] for load in measured["loads"])
        limits.append(Limit(f"statements per load, {engine}", most, at_most=MOST_STATEMENTS))
        if "statements_of_many_loads" in measured:
            mean = measured["statements_of_many_loads"]["mean"]
            name = f"statements per load with compactions, mean, {engine}"
            limits.append(Limit(name, mean, at_most=MOST_STATEMENTS))
    return limits


def measure_snowflake(sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs in fakesnow."""
    from support.servers.snowflake import running_snowflake  # noqa: PLC0415 - needs its client
    from support.snowflake_costs import measure_loads  # noqa: PLC0415 - needs its client

    with tempfile.TemporaryDirectory() as folder, running_snowflake(Path(folder)) as server:
        costs = measure_loads(server.port, "costs", tuple(sizes))
    return {
        "loads": [
            {
                "load": cost["load"],
                "rows": cost["rows"],
                "statements": len(cost["statements"]),
                "sent": cost["uploaded_bytes"],
                "kinds": cost["statements"],
            }
            for cost in costs
        ]
    }


def measure_bigquery(sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs in bqemulator."""
    from support.servers.bigquery import BigQueryServer, measure_loads  # noqa: PLC0415 - needs its client

    server = BigQueryServer()
    try:
        costs = [cost for size in sizes for cost in measure_loads(server.port, f"costs_{size}", size)]
    finally:
        server.stop()
    return {"loads": [{**cost, "statements": cost["jobs"]} for cost in costs]}


def measure_clickhouse(sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs in chDB."""
    from support.clickhouse_costs import count_statements, measure_loads  # noqa: PLC0415 - needs its client
    from support.servers.clickhouse import running_clickhouse  # noqa: PLC0415 - needs its client

    with running_clickhouse() as server:
        loads = [cost for size in sizes for cost in measure_loads(server, f"costs_{size}", size)]
        many = count_statements(server, "many", SERIES)
    return {
        "loads": loads,
        "statements_of_many_loads": {"loads": SERIES, "mean": round(sum(many) / SERIES, 2), "most": max(many)},
    }


def measure_iceberg(sizes: Sequence[int]) -> dict[str, Any]:
    """Return the costs in Iceberg tables on disk; new entries only."""
    from support.iceberg_catalogs import measure_load  # noqa: PLC0415 - needs its client

    costs = [measure_load(size) for size in sizes]
    return {
        "loads": [
            {
                "load": "new",
                "rows": cost["rows"],
                "statements": sum(cost["calls"].values()),
                "sent": cost["bytes"],
                "kinds": cost["calls"],
            }
            for cost in costs
        ]
    }


MEASURES: dict[str, Callable[[Sequence[int]], dict[str, Any]]] = {
    "snowflake": measure_snowflake,
    "bigquery": measure_bigquery,
    "clickhouse": measure_clickhouse,
    "iceberg": measure_iceberg,
}


if __name__ == "__main__":
    sys.exit(main())
