"""The programs in benchmarks/, as modules: their measuring functions are tested with less to measure."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from support.package_sources import ROOT


def load_benchmark(name: str) -> ModuleType:
    """Return benchmarks/<name>.py without running its command."""
    path = ROOT / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
