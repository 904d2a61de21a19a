"""The programs in benchmarks/, as modules: tests call their functions with smaller inputs."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from support.package_sources import ROOT

PROGRAMS = ROOT / "benchmarks"


def load_benchmark(name: str) -> ModuleType:
    """Return benchmarks/<name>.py without running it; its imports of ``harness`` work as from the command line."""
    if str(PROGRAMS) not in sys.path:
        sys.path.append(str(PROGRAMS))
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name.replace('/', '.')}", PROGRAMS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
