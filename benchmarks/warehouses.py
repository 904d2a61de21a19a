"""How fast JSON pages become rows of each warehouse, and in how much memory.

Prints one JSON object. PostgreSQL is compared with COPY of the same rows into a table with the same key, in the same
run. The limit is for COPY in its default format, text; CSV and binary are measured, too. PostgreSQL and MariaDB are
real servers on this machine with their default settings. Without MariaDB its part is left out with a message. Iceberg
tables are on this machine's disk, with a catalog in SQLite; dlt merges the same pages into Iceberg tables on the same
disk. It runs in an environment of its own (``--dlt-python``).
"""

# ruff: noqa: PLC0415 - each part imports only what its engine needs, so that its memory is its own
from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness.limits import Limit, report
from harness.report_pages import make_pages

ROOT = Path(__file__).parents[1]
ENGINES = ("duckdb", "postgres", "sqlite", "mysql", "iceberg")
LIMITS = {"duckdb": 150_000, "iceberg": 100_000, "sqlite": 5_000, "mysql": 5_000}
COPY_SHARE = 0.5
NEWER_LIMITS = {"iceberg": 40_000}
"""Rows per second when every row is newer than the stored one."""
TIMES_DLT = 3.0
DLT_ENTRIES = 50_000
FORMS = ("text", "csv", "binary")
COPY = "copy raw_{form} from stdin (format {form})"
GROUP = 50
"""Pages per transaction."""


def main() -> int:
    """Run one part, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--part", choices=["all", "rate", "memory", "dlt"], default="all")
    parser.add_argument("--engine", choices=ENGINES, default="duckdb")
    parser.add_argument(
        "--where", default="", help="file, DSN or JSON of the connection; a folder of its own without it"
    )
    parser.add_argument("--dlt-python", default=str(ROOT / ".venv-benchmarks" / "bin" / "python"))
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=ENGINES, help="measure only these")
    parser.add_argument("--memory-entries", type=int, nargs="*", default=[100_000, 1_000_000])
    options = parser.parse_args()
    if options.part == "rate":
        print(json.dumps(measure_rate(options.engine, options.where, options.entries)))
    elif options.part == "memory":
        print(json.dumps(measure_memory(options.engine, options.where, options.entries)))
    elif options.part == "dlt":
        print(json.dumps(measure_dlt(options.entries)))
    else:
        result = measure_all(options)
        return report(result, [limit for engine in options.engines for limit in limits_of(engine, result[engine])])
    return 0


def limits_of(engine: str, measured: dict[str, Any]) -> list[Limit]:
    """Return the limits of an engine; none if its server is not installed."""
    if "missing" in measured:
        return []
    if engine == "postgres":
        share = measured["share_of_copy"]["text"]
        return [Limit("share of COPY in its default format, postgres", share, at_least=COPY_SHARE)]
    rates = measured["rows_per_second"]
    limits = [Limit(f"rows per second, {engine}", rates["whole_path"], at_least=LIMITS[engine])]
    if engine in NEWER_LIMITS:
        newer = rates["whole_path_again_all_newer"]
        limits.append(Limit(f"rows per second, all newer, {engine}", newer, at_least=NEWER_LIMITS[engine]))
    if measured.get("dlt", {}).get("ours_times_its_rate"):
        times = measured["dlt"]["ours_times_its_rate"]
        limits.append(Limit(f"times the rate of dlt, {engine}", times, at_least=TIMES_DLT))
    return limits


def measure_all(options: argparse.Namespace) -> dict[str, Any]:
    """Measure each engine in processes of its own, because caches and memory of one would affect the next."""
    results: dict[str, Any] = {"benchmark": "warehouses", "cores": os.cpu_count(), "pages_a_transaction": GROUP}
    for engine in options.engines:
        with contextlib.ExitStack() as stack:
            where = stack.enter_context(running(engine))
            if where is None:
                results[engine] = {"missing": "there is no server of this engine on this machine"}
                continue
            rate = run_part("rate", engine, where(), options.entries)
            memory = [run_part("memory", engine, where(), size) for size in options.memory_entries]
            results[engine] = summarise(engine, rate, memory)
            if engine == "iceberg":
                results[engine]["dlt"] = compare_with_dlt(where(), options.dlt_python)
    return results


def summarise(engine: str, rate: dict[str, Any], memory: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an engine's numbers."""
    result = {**rate, "peak_megabytes": {f"{part['entries']:,}": part["peak_megabytes"] for part in memory}}
    if engine == "postgres":
        rates = rate["rows_per_second"]
        shares = {form: round(rates["whole_path"] / rates[f"raw_copy_{form}"], 2) for form in FORMS}
        result["share_of_copy"] = shares
    return result


@contextlib.contextmanager
def running(engine: str) -> Iterator[Callable[[], str] | None]:
    """Yield a function that returns a new location for an engine; None if the engine is not installed."""
    sys.path.insert(0, str(ROOT / "tests"))
    with tempfile.TemporaryDirectory() as folder:
        number = iter(range(100))
        if engine in ("duckdb", "sqlite", "iceberg"):
            yield lambda: str(Path(folder) / f"{next(number)}.{engine}")
        elif engine == "postgres":
            from support.servers.postgres import running_postgres

            with running_postgres() as server:
                yield lambda: f"{server.dsn}|bench_{next(number)}"
        else:
            from support.servers.mariadb import find_mariadb, running_mariadb

            if find_mariadb() is None:
                yield None
                return
            with running_mariadb() as server:
                yield lambda: f"{server.port}|bench_{next(number)}"


def compare_with_dlt(where: str, python: str) -> dict[str, Any]:
    """Return dlt's rate for fewer of the same pages, and this package's for them."""
    if not Path(python).exists():
        return {"missing": f"{python} is not there", "ours_times_its_rate": None}
    ours = run_part("rate", "iceberg", where, DLT_ENTRIES)["rows_per_second"]["whole_path"]
    dlt = run_part("dlt", "iceberg", where, DLT_ENTRIES, python=python)
    return {**dlt, "ours_rows_per_second": ours, "ours_times_its_rate": round(ours / dlt["rows_per_second"], 1)}


def run_part(part: str, engine: str, where: str, entries: int, *, python: str = sys.executable) -> dict[str, Any]:
    """Run one part in another process and return what it printed."""
    command = [
        python,
        __file__,
        "--part",
        part,
        "--engine",
        engine,
        "--where",
        where,
        "--entries",
        str(entries),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def open_warehouse(engine: str, where: str) -> Any:
    """Return the warehouse at a location."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.warehouses import WarehouseLocation

    place, _, schema = where.partition("|")
    options = {"hold_seconds": 2.0} if engine == "duckdb" else {}
    return WarehouseLocation(engine, place, schema or "toggl").open(**options)


def measure_rate(engine: str, where: str, entries: int) -> dict[str, Any]:
    """Return rows per second of the whole path: inspecting, decoding and loading; first and all newer."""
    pages = list(make_pages(entries))
    rates: dict[str, int] = {}
    with open_warehouse(engine, where) as target:
        target.prepare()
        if engine == "postgres":
            rates |= {f"raw_copy_{form}": measure_copy(target, pages, form) for form in FORMS}
        for name, day in (("whole_path", 1), ("whole_path_again_all_newer", 2)):
            started = time.perf_counter()
            load(target, pages, day)
            rates[name] = round(entries / (time.perf_counter() - started))
        stored = target.counts()["time_entries"]
    if stored != entries:
        raise SystemExit(f"{engine} has {stored} of {entries} entries")
    return {"entries": entries, "rows_per_second": rates}


def measure_dlt(entries: int) -> dict[str, Any]:
    """Return rows per second of dlt's merge of the same pages into Iceberg tables on the same disk."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt
    from dlt.common.libs.pyiceberg import get_iceberg_tables

    pages = list(make_pages(entries))

    @dlt.resource(
        name="time_entries",
        primary_key="id",
        write_disposition={"disposition": "merge", "strategy": "upsert"},
        max_table_nesting=0,
        table_format="iceberg",
    )
    def time_entries() -> Iterator[list[dict[str, Any]]]:
        for page in pages:
            yield [{**row, **row.pop("time_entries")[0]} for row in json.loads(page)]

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "warehouses",
            pipelines_dir=str(Path(folder) / "state"),
            destination=dlt.destinations.filesystem(f"file://{folder}/tables"),
            dataset_name="toggl",
        )
        started = time.perf_counter()
        pipeline.run(time_entries())
        seconds = time.perf_counter() - started
        stored = get_iceberg_tables(pipeline)["time_entries"].scan().to_arrow().num_rows
    if stored != entries:
        raise SystemExit(f"dlt loaded {stored} of {entries} entries")
    return {"entries": entries, "rows_per_second": round(entries / seconds), "version": dlt.__version__}


def measure_copy(target: Any, pages: list[bytes], form: str) -> int:
    """Return rows per second of COPY of the same rows, in transactions of the same size."""
    import pyarrow as pa

    from airflow_provider_toggl.core.load.engines.postgres.copy_binary import binary_chunks
    from airflow_provider_toggl.core.load.engines.postgres.engine import POSTGRES
    from airflow_provider_toggl.core.load.merging import rule
    from airflow_provider_toggl.core.load.tables.schemas import TABLES, TableSchema

    table = TableSchema(f"raw_{form}", TABLES["time_entries"].columns)
    tables = [decode(page, 1).table for page in pages]
    groups = [pa.concat_tables(tables[begin : begin + GROUP]) for begin in range(0, len(tables), GROUP)]
    chunks = {"binary": binary_chunks, "csv": csv_chunks, "text": text_chunks}[form]
    ready = [[bytes(chunk) for chunk in chunks(group)] for group in groups]
    with target.transaction(writing=False) as session:
        session.run(rule.create_table(table, POSTGRES))
    started = time.perf_counter()
    for group in ready:
        # The warehouse's own connection, so that nothing but the work differs.
        with (
            target.transaction(writing=False) as session,
            session.connection.cursor() as cursor,
            cursor.copy(COPY.format(form=form)) as copy,
        ):
            for chunk in group:
                copy.write(chunk)
    return round(sum(one.num_rows for one in tables) / (time.perf_counter() - started))


def csv_chunks(rows: Any) -> Iterator[bytes]:
    """Yield rows in the format of ``COPY ... (format csv)``."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    from airflow_provider_toggl.core.load.engines.arrow_rows import list_texts

    columns = [list_texts(c, "{", ",", "}") if pa.types.is_list(c.type) else c.combine_chunks() for c in rows.columns]
    sink = pa.BufferOutputStream()
    options = pa_csv.WriteOptions(include_header=False, quoting_style="needed")
    pa_csv.write_csv(pa.Table.from_arrays(columns, names=rows.column_names), sink, options)
    yield sink.getvalue().to_pybytes()


def text_chunks(rows: Any) -> Iterator[bytes]:
    """Yield rows in the default format of ``COPY``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from airflow_provider_toggl.core.load.engines.arrow_rows import list_texts

    texts = []
    for column in rows.columns:
        is_list = pa.types.is_list(column.type)
        text = list_texts(column, "{", ",", "}") if is_list else column.combine_chunks().cast(pa.string())
        for sign, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
            text = pc.replace_substring(text, sign, escaped)
        texts.append(pc.fill_null(text, "\\N"))
    lines = pc.binary_join_element_wise(*texts, "\t")
    yield "".join(f"{line}\n" for line in lines.to_pylist()).encode()


def decode(page: bytes, day: int) -> Any:
    """Decode a page as observed on a day."""
    from airflow_provider_toggl.core.load.decode.records import Observation, decode_page

    return decode_page("time_entries", page, Observation(7, datetime(2025, 6, day, tzinfo=timezone.utc)))


def load(target: Any, pages: list[bytes] | Iterator[bytes], day: int) -> None:
    """Inspect and decode pages and load so many in each transaction, with progress as a sync stores it."""
    from airflow_provider_toggl.core.extract.pages import inspect_report
    from airflow_provider_toggl.core.load.values import Progress

    now = datetime(2025, 6, day, tzinfo=timezone.utc)
    batches = []
    for number, page in enumerate(pages, start=1):
        inspect_report(page, first_row=1, next_row=None, key="start", asked="benchmark")
        batches.append(decode(page, day))
        if len(batches) == GROUP:
            target.load(batches, Progress("time_entries", "7", now, f'{{"page": {number}}}', GROUP, now))
            batches = []
    target.load(batches)


def measure_memory(engine: str, where: str, entries: int) -> dict[str, Any]:
    """Return the peak memory of a process that loads so many entries, with pages generated as they are read."""
    with open_warehouse(engine, where) as target:
        load(target, make_pages(entries), 1)
        stored = target.counts()["time_entries"]
    if stored != entries:
        raise SystemExit(f"{engine} has {stored} of {entries} entries")
    return {"entries": entries, "peak_megabytes": peak_megabytes()}


def peak_megabytes() -> int:
    """Return this process's peak memory; ``ru_maxrss`` would include the parent's memory at the fork."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


if __name__ == "__main__":
    sys.exit(main())
