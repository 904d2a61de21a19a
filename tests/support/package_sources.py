"""The package's source files as data, for tests of its architecture."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
