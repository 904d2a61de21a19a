"""The repository as data: source modules, benchmark programs, and generated pages of the documentation."""

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
        """Return the dotted names of all its imports, those for type checkers and inside functions included."""
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
    """Return all modules of the package, ordered by path."""
    paths = sorted(path.relative_to(ROOT) for path in (ROOT / PACKAGE).rglob("*.py"))
    return tuple(Module(".".join(path.with_suffix("").parts).removesuffix(".__init__"), path) for path in paths)


PROGRAMS = ROOT / "benchmarks"


def load_program(path: Path, name: str = "") -> ModuleType:
    """Import a file that is in no package.

    :param name: of the module; by default the file's.
    """
    spec = importlib.util.spec_from_file_location(name or path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its data classes look here
    spec.loader.exec_module(module)
    return module


def load_benchmark(name: str) -> ModuleType:
    """Import benchmarks/<name>.py; it can import ``harness``, as from the command line."""
    if str(PROGRAMS) not in sys.path:
        sys.path.append(str(PROGRAMS))
    return load_program(PROGRAMS / f"{name}.py", f"benchmarks.{name.replace('/', '.')}")


def load_example(name: str) -> ModuleType:
    """Import the example DAG dags/<name>.py, with the variables of the environment as they are now."""
    return load_program(ROOT / "dags" / f"{name}.py", f"examples.{name}")


@cache
def reference() -> ModuleType:
    """Import the program that generates the reference pages."""
    return load_program(ROOT / "scripts" / "reference.py")


@cache
def pages() -> dict[str, str]:
    """Return the generated pages by their paths below ``docs``."""
    return dict(reference().pages())


_ROW = re.compile(r"^\| `(?P<name>toggl\.[\w.]+)` \| (?P<kind>\w+), [^|]+ \| (?P<meaning>.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A row of the table of metrics."""

    kind: str
    tags: frozenset[str]


def documented_metrics() -> Mapping[str, Documented]:
    """Return the rows of the metrics page by name."""
    return {
        row["name"]: Documented(row["kind"], frozenset(re.findall(r"<br>`(\w+)`: ", row["meaning"])))
        for row in _ROW.finditer(pages()["reference/metrics.md"])
    }


def keep_for_the_docs(picture: Path, name: str) -> None:
    """Copy a picture of a test into the documentation, but only in ``make screenshots``."""
    if os.environ.get("KEEP_SCREENSHOTS"):
        shutil.copyfile(picture, ROOT / "docs" / "images" / name)
