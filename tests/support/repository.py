"""The package's source files as data, for tests of its architecture."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
PACKAGE = "airflow_provider_toggl"


@dataclass(frozen=True)
class Module:
    """One module of the package.

    :param name: its dotted name, without ``.__init__``.
    :param path: its file, relative to the repository.
    """

    name: str
    path: Path

    @property
    def text(self) -> str:
        return (ROOT / self.path).read_text()

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def imports(self) -> set[str]:
        """Return the dotted names of all that it imports anywhere, for type checkers and inside functions too."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno} imports relatively"
                assert node.module is not None
                # `from a.b import c` may name the module a.b.c or a thing inside of a.b.
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return found


@cache
def package_modules() -> tuple[Module, ...]:
    """Return every module of the package, in order of its path."""
    paths = sorted(path.relative_to(ROOT) for path in (ROOT / PACKAGE).rglob("*.py"))
    return tuple(Module(".".join(path.with_suffix("").parts).removesuffix(".__init__"), path) for path in paths)


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


_ROW = re.compile(r"^\| `(?P<name>toggl\.[\w.]+)` \| (?P<kind>\w+), [^|]+ \| (?P<meaning>.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A row of the table."""

    kind: str
    tags: frozenset[str]


def documented_metrics() -> Mapping[str, Documented]:
    """Return what the page says, by name."""
    return {
        row["name"]: Documented(row["kind"], frozenset(re.findall(r"<br>`(\w+)`: ", row["meaning"])))
        for row in _ROW.finditer(pages()["reference/metrics.md"])
    }


def keep_for_the_docs(picture: Path, name: str) -> None:
    """Put a picture that a test made and checked into the documentation, where that was asked for.

    ``make screenshots`` asks for it; in all other runs the documentation stays as it is.
    """
    if os.environ.get("KEEP_SCREENSHOTS"):
        shutil.copyfile(picture, ROOT / "docs" / "images" / name)
