from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.repository import PACKAGE, package_modules

pytestmark = pytest.mark.airflow

FOLDERS = ("hooks", "operators", "sensors", "triggers", "transfers", "get_provider_info", "plugin")
HEAVY = ("duckdb", "matplotlib", "pandas", "polars", "psycopg", "pyarrow", f"{PACKAGE}.sandbox")


def test_no_module_that_a_dag_imports_loads_a_heavy_library_or_the_sandbox() -> None:
    names = [m.name for m in package_modules() if m.name.removeprefix(f"{PACKAGE}.").split(".")[0] in FOLDERS]
    assert len(names) > 3
    program = f"""
import importlib, json, sys
import airflow.sdk
heavy, found, before = {HEAVY!r}, {{}}, {{name for name in {HEAVY!r} if name in sys.modules}}
assert not before, before
for name in {names!r}:
    importlib.import_module(name)
    found[name] = sorted(heavy_one for heavy_one in heavy if heavy_one in sys.modules)
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert {name: heavy for name, heavy in loaded.items() if heavy} == {}
