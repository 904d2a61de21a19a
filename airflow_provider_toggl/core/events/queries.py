"""Named SQL statements out of this package's ``sql`` files, and the steps between versions of the tables."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)
_STEP = re.compile(r"migrate_(\d+)_\w+")


@cache
def load_queries(file: str) -> dict[str, str]:
    """Return the statements of ``sql/<file>.sql`` by name, in the order of the file.

    A statement begins after its line ``-- name: its_name: what it is for``.
    """
    text = (files(__package__) / "sql" / f"{file}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}


@cache
def load_migrations(file: str) -> tuple[tuple[str, ...], ...]:
    """Return the statements named ``migrate_<n>_...``; the n-th group brings tables of version n-1 to version n.

    Released ones never change.
    """
    steps: dict[int, list[str]] = {}
    for name, statement in load_queries(file).items():
        if step := _STEP.fullmatch(name):
            steps.setdefault(int(step[1]), []).append(statement)
    return tuple(tuple(steps[number]) for number in range(1, len(steps) + 1))
