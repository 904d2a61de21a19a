"""The program that makes the reference of the code, and the pages that it makes."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from types import ModuleType

from support.package_sources import ROOT


@cache
def reference() -> ModuleType:
    """Return the program that makes the pages."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference"] = module
    spec.loader.exec_module(module)
    return module


@cache
def pages() -> dict[str, str]:
    """Return the text of each page by its path below ``docs``."""
    return dict(reference().pages())
