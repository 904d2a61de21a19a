"""Named SQL statements of a package's ``sql`` folder, and the migrations of its tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)
_MIGRATION = re.compile(r"migrate_(\d+)_\w+")
_PART = "part_"
# A name after one colon: two of them begin a cast.
_PARAMETER = re.compile(r"(?<!:):([a-z_]\w*)")


@cache
def load_statements(package: str, file: str) -> dict[str, str]:
    """Return the statements of ``sql/<file>.sql`` by name, in the order of the file.

    A statement begins after its line ``-- name: its_name: what it is for``.
    """
    text = (files(package) / "sql" / f"{file}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def load_migrations(package: str, file: str) -> tuple[tuple[str, ...], ...]:
    """Return the statements named ``migrate_<n>_...``; the n-th group brings tables of version n-1 to version n.

    Released ones never change.
    """
    steps: dict[int, list[str]] = {}
    for name, statement in load_statements(package, file).items():
        if step := _MIGRATION.fullmatch(name):
            steps.setdefault(int(step[1]), []).append(statement)
    return tuple(tuple(steps[number]) for number in range(1, len(steps) + 1))


def combine(*sources: Mapping[str, str], **names: str) -> dict[str, str]:
    """Return statements of several files, complete.

    ``{name}`` in a statement stands for one of the names, or for the statement ``part_<name>``: what engines write
    differently within a statement that is otherwise the same.
    """
    statements = {name: text for source in sources for name, text in source.items()}
    parts = {name.removeprefix(_PART): text for name, text in statements.items() if name.startswith(_PART)}
    slots = {**names, **{name: text.format(**names) for name, text in parts.items()}}
    return {
        name: text.format(**slots)
        for name, text in statements.items()
        if not name.startswith(_PART) and not _MIGRATION.fullmatch(name)
    }


def to_pyformat(statement: str) -> str:
    """Return a statement whose parameters ``:name`` are written as ``%(name)s``."""
    return _PARAMETER.sub(r"%(\1)s", statement)
