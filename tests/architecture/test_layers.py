from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from support.repository import PACKAGE, Module, package_modules

BASE = {
    "core.errors",
    "core.clock",
    "core.instants",
    "core.keys",
    "core.json_text",
    "core.streams",
    "core.arguments",
    "core.metrics",
    "core.log_fields",
    "core.wording",
    "core.lineage",
    "core.databases",
    "core.rates",
}
CORE = BASE | {
    "core.client",
    "core.events",
    "core.webhooks",
    "core.extract",
    "core.load",
    "core.reconcile",
    "core.sync",
    "core.sync.page_loader",
    "core.files",
    "core.operate",
}

# Which part of the package may import which others, besides itself and the package's version.
MAY_IMPORT: dict[str, set[str]] = {
    "core.errors": set(),
    "core.clock": set(),
    "core.instants": set(),
    "core.keys": set(),
    "core.json_text": set(),
    "core.streams": {"core.errors"},
    "core.arguments": {"core.errors", "core.instants", "core.streams"},
    "core.metrics": set(),
    "core.log_fields": set(),
    "core.wording": set(),
    "core.lineage": set(),
    "core.rates": set(),
    "core.databases": {"core.clock", "core.errors"},
    "core.client": BASE,
    "core.events": BASE,
    "core.load": BASE,
    "core.webhooks": BASE | {"core.events"},
    "core.extract": BASE | {"core.client"},
    # What pulling and reconciling share: a page, loaded with the progress that it stands for.
    "core.sync.page_loader": BASE | {"core.extract", "core.load"},
    "core.reconcile": BASE | {"core.client", "core.extract", "core.load", "core.sync.page_loader"},
    "core.sync": BASE
    | {"core.client", "core.events", "core.extract", "core.load", "core.reconcile", "core.sync.page_loader"},
    "core.files": BASE | {"core.client", "core.extract", "core.load", "core.sync", "core.sync.page_loader"},
    "core.operate": BASE | {"core.client", "core.events", "core.webhooks", "core.load"},
    "hooks": CORE,
    "templates": {"core.arguments", "core.errors"},
    "task_context": set(),
    "triggers": BASE | {"core.events", "hooks", "templates"},
    "links": BASE | {"core.client", "hooks", "plugin"},
    "sensors": CORE | {"hooks", "triggers", "templates", "task_context", "links"},
    "operators": CORE
    | {"hooks", "triggers", "templates", "task_context", "links", "operators.quota_deferral", "operators.replay"},
    # The one thing of operators that transfers share: tasks that wait for the quota.
    "operators.quota_deferral": BASE
    | {"core.client", "core.operate", "hooks", "templates", "triggers", "task_context", "links"},
    "transfers": CORE
    | {"hooks", "triggers", "templates", "task_context", "links", "operators.quota_deferral", "assets"},
    "report": BASE | {"core.load"},
    "assets": BASE | {"triggers"},
    "operators.replay": BASE | {"core.client", "core.events"},
    "page": CORE | {"hooks", "operators.replay"},
    "plugin": BASE | {"core.webhooks", "hooks", "page"},
    "cli": CORE | {"hooks", "cli.commands", "cli.output"},
    "sandbox": set(),
    "pytest_plugin": {"hooks", "sandbox"},
    "cli.output": {"core.errors"},
    # These name other modules in strings and import none.
    "get_provider_info": set(),
    "cli.commands": set(),
    "cli.definition": {"cli.commands", "cli.output"},
    "__main__": {"cli.commands", "cli.output"},
}


def part_of(dotted: str) -> str:
    """Return the part that a dotted name of the package is in, an empty string for what is in none."""
    inner = dotted.removeprefix(PACKAGE).removeprefix(".")
    fitting = [part for part in MAY_IMPORT if inner == part or inner.startswith(part + ".")]
    return max(fitting, key=len, default="")


def is_empty_package(module: Module) -> bool:
    return module.path.name == "__init__.py" and not module.imports() - {"__future__.annotations"}


@pytest.mark.parametrize("module", package_modules(), ids=lambda module: module.name)
def test_a_module_is_in_a_part_and_imports_only_what_its_part_may(module: Module) -> None:
    part = part_of(module.name)
    assert part or is_empty_package(module), "it is in no part: give it a row in the table"
    ours = {name for name in module.imports() if name.split(".")[0] == PACKAGE and name != f"{PACKAGE}.__version__"}
    unknown = {name for name in ours if not part_of(name)}
    assert not unknown
    assert {part_of(name) for name in ours} - {part} <= MAY_IMPORT.get(part, set())


def test_the_parts_have_an_order() -> None:
    assert list(TopologicalSorter(MAY_IMPORT).static_order())


@pytest.mark.parametrize(
    "module",
    [module for module in package_modules() if part_of(module.name).startswith(("core", "sandbox"))],
    ids=lambda module: module.name,
)
def test_core_and_sandbox_name_nothing_of_airflow(module: Module) -> None:
    assert not [name for name in module.imports() if name.split(".")[0] == "airflow"]


@pytest.mark.parametrize("folder", ["core", "sandbox", "__main__"])
def test_importing_all_of_it_loads_nothing_of_airflow(folder: str) -> None:
    names = [m.name for m in package_modules() if f"{m.name}.".startswith(f"{PACKAGE}.{folder}.")]
    # Running sandbox/__main__ serves; what it imports is in the others.
    names = [name for name in names if not name.endswith("sandbox.__main__")]
    program = f"""
import importlib, sys
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        # Clients of clouds are in the environment of `make clouds` alone.
        if missing.name.split(".")[0] not in ("clickhouse_connect", "google", "snowflake"):
            raise
print(sorted(name for name in sys.modules if name.split(".")[0] == "airflow"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"
