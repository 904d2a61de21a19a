"""The time that importing a hook, operator, sensor, trigger or transfer adds to importing Airflow.

The scheduler, the DAG processor and every worker import them. Each is imported several times, each time by a new
process, forked from one that has imported Airflow's own base classes; bytecode is compiled beforehand, as in an
installation.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import airflow_provider_toggl

PACKAGE = airflow_provider_toggl.__name__
FOLDERS = ("hooks", "operators", "sensors", "transfers", "triggers")
HEAVY = ("duckdb", "pandas", "polars", "pyarrow", f"{PACKAGE}.sandbox")
MOST_CPU_SECONDS = 0.05
"""The limit is for processor time, because other processes may use the machine."""

_PROGRAM = """
import gc, importlib, json, os, sys, time

def measure(module):
    before = set(sys.modules)
    start, start_cpu = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    end, end_cpu = time.perf_counter(), time.process_time()
    loaded = sorted(set(sys.modules) - before)
    return {"airflow": airflow, "seconds": end - start, "cpu": end_cpu - start_cpu, "loaded": loaded}

begin = time.perf_counter()
# Airflow's classes are loaded when they are first named; any provider names these.
from airflow.sdk import BaseHook, BaseOperator
from airflow.providers.common.compat.sdk import AirflowSkipException, BaseHook, BaseOperator, conf
airflow = time.perf_counter() - begin
# Airflow's DAG processor does it too before it forks. Without it, the children collect Airflow's garbage.
gc.collect()
gc.freeze()
# In turns, so that other work on the machine does not fall on one module only.
for _ in range(int(sys.argv[1])):
    for module in sys.argv[2:]:
        if not (child := os.fork()):
            print(json.dumps({"module": module, **measure(module)}), flush=True)
            os._exit(0)
        if os.waitpid(child, 0)[1]:
            sys.exit(f"{module} cannot be imported.")
"""


def find_modules() -> list[str]:
    """Return the names of all modules that a DAG may import."""
    root = Path(airflow_provider_toggl.__file__).parent
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.py")) if path.stem != "__init__"]
    return [".".join((PACKAGE, *path.relative_to(root).with_suffix("").parts)) for path in paths]


def measure(modules: Sequence[str], runs: int, cache: str) -> list[dict[str, Any]]:
    """Import each module several times and return medians in milliseconds.

    :param cache: folder of the bytecode.
    """
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    command = [sys.executable, "-c", _PROGRAM, str(runs + 1), *modules]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    samples: dict[str, list[dict[str, Any]]] = {module: [] for module in modules}
    for line in done.stdout.splitlines():
        sample = json.loads(line)
        samples[sample["module"]].append(sample)
    # The first run compiles, and fills the disk cache.
    return [_summarize(module, samples[module][1:]) for module in modules]


def _summarize(module: str, samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    names = ("seconds", "cpu", "airflow")
    seconds, cpu, airflow = (statistics.median(sample[name] for sample in samples) for name in names)
    heavy = sorted({name for sample in samples for name in sample["loaded"] if _is_heavy(name)})
    return {
        "module": module.removeprefix(f"{PACKAGE}."),
        "milliseconds": round(seconds * 1000, 1),
        "cpu_milliseconds": round(cpu * 1000, 1),
        "airflow_milliseconds": round(airflow * 1000, 1),
        "ratio_to_airflow": round(1 + seconds / airflow, 4),
        "heavy": heavy,
        "ok": cpu <= MOST_CPU_SECONDS and not heavy,
    }


def _is_heavy(name: str) -> bool:
    return any(name == heavy or name.startswith(heavy + ".") for heavy in HEAVY)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every module, print JSON, and return 1 when one is too slow or loads too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="of each module (default: %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        modules = measure(find_modules(), options.runs, cache)
    result = {
        "benchmark": "imports",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "airflow": version("apache-airflow"),
        "runs": options.runs,
        "limits": {"cpu_milliseconds": MOST_CPU_SECONDS * 1000, "heavy": []},
        "modules": modules,
        "ok": all(module["ok"] for module in modules),
    }
    print(json.dumps(result, indent=2))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
