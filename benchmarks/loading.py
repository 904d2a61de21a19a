"""How fast JSON pages become rows of DuckDB, and in how much memory; and dlt on the same pages.

Prints one JSON object. All parts run on one core. dlt is no dependency of the package, so it runs in an environment of
its own (``--dlt-python``, by default that of ``.venv-benchmarks``).
"""

# ruff: noqa: PLC0415 - each part runs in an environment that may not have what the others import
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.limits import Limit, report
from harness.report_pages import make_pages

ROOT = Path(__file__).parents[1]
GROUP = 50
MEMORY_ENTRIES = 1_000_000
LEAST_ROWS_PER_SECOND = 100_000
MOST_MEGABYTES = 400


def main() -> int:
    """Run one part, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--dlt-entries", type=int, default=50_000)
    parser.add_argument("--dlt-python", default=str(ROOT / ".venv-benchmarks" / "bin" / "python"))
    parser.add_argument("--part", choices=["all", "ours", "memory", "dlt"], default="all")
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    parts = {"ours": lambda: measure_ours(options.entries), "memory": measure_memory}
    parts["dlt"] = lambda: measure_dlt(options.dlt_entries)
    if options.part != "all":
        print(json.dumps(parts[options.part]()))
        return 0
    result = measure_all(options)
    return report(result, limits_of(result))


def limits_of(result: dict[str, Any]) -> list[Limit]:
    """Return the limits of a whole run."""
    return [
        Limit("rows per second, whole path", result["rows_per_second"]["whole_path"], at_least=LEAST_ROWS_PER_SECOND),
        Limit("peak megabytes, 1,000,000 entries", result["memory"]["peak_megabytes"], at_most=MOST_MEGABYTES),
    ]


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Measure every part in a process of its own, because caches and memory of one would affect the next."""
    ours = run_part(sys.executable, "ours", options)
    same_pages = argparse.Namespace(**{**vars(options), "entries": options.dlt_entries})
    compared, dlt = run_part(sys.executable, "ours", same_pages), run_part(options.dlt_python, "dlt", options)
    ours_on_them = compared["rows_per_second"]["whole_path"]
    return {
        "benchmark": "loading",
        "cores": os.cpu_count(),
        "cores_used": 1,
        **ours,
        "memory": run_part(sys.executable, "memory", options),
        "dlt": {
            **dlt,
            "ours_rows_per_second": ours_on_them,
            "ours_times_its_fastest": round(ours_on_them / max(dlt["rows_per_second"].values()), 1),
        },
    }


def run_part(python: str, part: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one part in another process and return what it printed."""
    command = [python, __file__, "--part", part, "--entries", str(options.entries)]
    done = subprocess.run([*command, "--dlt-entries", str(options.dlt_entries)], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure_ours(entries: int) -> dict[str, Any]:
    """Return rows per second of decoding, and of the whole path: inspecting, decoding and loading, in several ways."""
    import duckdb
    import msgspec
    import pyarrow as pa

    pages = list(make_pages(entries))
    decode(pages[:5])
    watch = Stopwatch(entries)
    with watch.lap("decode"):
        decode(pages)
    with tempfile.TemporaryDirectory() as folder:
        with watch.lap("whole_path"):
            load(pages, Path(folder) / "grouped.duckdb", GROUP)
        with watch.lap("whole_path_again_all_newer"):
            load(pages, Path(folder) / "grouped.duckdb", GROUP, day=2)
        with watch.lap("whole_path_one_transaction_a_page"):
            load(pages, Path(folder) / "paged.duckdb", 1)
        with watch.lap("whole_path_with_history"):
            load(pages, Path(folder) / "history.duckdb", GROUP, keep_history=True)
        with watch.lap("whole_path_with_history_again_all_newer"):
            load(pages, Path(folder) / "history.duckdb", GROUP, day=2, keep_history=True)
    return {
        "entries": entries,
        "pages_a_transaction": GROUP,
        "bytes_per_row": round(sum(map(len, pages)) / entries),
        "rows_per_second": watch.per_second,
        "rows_per_cpu_second": watch.per_cpu_second,
        "versions": {
            "python": sys.version.split()[0],
            **{module.__name__: module.__version__ for module in (duckdb, msgspec, pa)},
        },
    }


class Stopwatch:
    """Rows per second of measured blocks, by elapsed time and by processor time."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self.per_second: dict[str, int] = {}
        self.per_cpu_second: dict[str, int] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Measure the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.per_second[name] = round(self._rows / (time.perf_counter() - wall))
        self.per_cpu_second[name] = round(self._rows / (time.process_time() - cpu))


def decode(pages: list[bytes], day: int = 1) -> None:
    """Decode all pages and discard the rows."""
    for page in pages:
        decode_one(page, day)


def decode_one(page: bytes, day: int) -> Any:
    """Decode a page as observed on a day."""
    from airflow_provider_toggl.core.load.decode.records import Observation, decode_page

    return decode_page("time_entries", page, Observation(7, datetime(2025, 6, day, tzinfo=timezone.utc)))


def load(
    pages: list[bytes] | Iterator[bytes], path: Path, group: int, day: int = 1, *, keep_history: bool = False
) -> None:
    """Inspect and decode pages and load so many in each transaction, with progress as a sync stores it."""
    from airflow_provider_toggl.core.extract.pages import inspect_report
    from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
    from airflow_provider_toggl.core.load.values import Progress

    now = datetime(2025, 6, day, tzinfo=timezone.utc)
    batches = []
    with build_duckdb_warehouse(path) as warehouse:
        if keep_history:
            warehouse.keep_history(True)
        for number, page in enumerate(pages, start=1):
            inspect_report(page, first_row=1, next_row=None, key="start", asked="benchmark")
            batches.append(decode_one(page, day))
            if len(batches) == group:
                warehouse.load(batches, Progress("time_entries", "7", now, f'{{"page": {number}}}', group, now))
                batches = []
        warehouse.load(batches)


def measure_memory() -> dict[str, Any]:
    """Return the peak memory of a process that loads a million entries, with pages generated as they are read."""
    import duckdb  # noqa: F401
    import pyarrow as pa  # noqa: F401

    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.duckdb"
        load(make_pages(MEMORY_ENTRIES), path, GROUP)
        size = path.stat().st_size
    return {
        "entries": MEMORY_ENTRIES,
        "peak_megabytes": peak_megabytes(),
        "megabytes_after_imports": before,
        "file_megabytes": round(size / 1e6),
    }


def peak_megabytes() -> int:
    """Return this process's peak memory; ``ru_maxrss`` would include the parent's memory at the fork."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def measure_dlt(entries: int) -> dict[str, Any]:
    """Return rows per second of dlt's merge of the same pages into DuckDB, in each of its file formats."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt

    pages = list(make_pages(entries))
    watch = Stopwatch(entries)
    for file_format in ("insert_values", "parquet"):
        with watch.lap(file_format):
            stored = load_by_dlt(pages, file_format)
        if stored != entries:
            raise SystemExit(f"dlt loaded {stored} of {entries} entries")
    return {
        "entries": entries,
        "rows_per_second": watch.per_second,
        "rows_per_cpu_second": watch.per_cpu_second,
        "version": dlt.__version__,
    }


def load_by_dlt(pages: list[bytes], file_format: Any) -> int:
    """Merge all pages by their ID, with tags as JSON instead of a child table, which is faster for dlt."""
    import dlt

    @dlt.resource(name="time_entries", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def time_entries() -> Iterator[list[dict[str, Any]]]:
        for page in pages:
            yield [{**row, **row.pop("time_entries")[0]} for row in json.loads(page)]

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            f"loading_{file_format}",
            pipelines_dir=str(Path(folder) / "state"),
            destination=dlt.destinations.duckdb(str(Path(folder) / "dlt.duckdb")),
            dataset_name="toggl",
        )
        pipeline.run(time_entries(), loader_file_format=file_format)
        with pipeline.sql_client() as client:
            return int((client.execute_sql("select count(*) from time_entries") or [[0]])[0][0])


if __name__ == "__main__":
    sys.exit(main())
