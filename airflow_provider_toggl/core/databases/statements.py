"""SQL statements by name, from ``.sql`` files: how they are loaded, completed, and written for a driver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)
_MIGRATION = re.compile(r"migrate_(\d+)_\w+")
_PART = "part_"
# A name after one colon: two of them begin a cast.
_PARAMETER = re.compile(r"(?<!:):([a-z_]\w*)")
_PARTS = re.compile(
    r"""
    '(?:[^']|'')*'        # a text
    | "(?:[^"]|"")*"      # an identifier
    | --[^\n]*            # a comment
    | /\*.*?\*/
    | \? | %
    """,
    re.VERBOSE | re.DOTALL,
)


@cache
def load_statements(package: str, file: str) -> dict[str, str]:
    """Return the statements of a file by name, in the order of the file.

    A statement begins after its line ``-- name: its_name: what it is for``.

    :param file: its path in the package, for example ``sql/sqlite.sql``.
    """
    text = files(package).joinpath(file).read_text("utf-8")
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


@lru_cache(256)
def to_format(statement: str, doubles: bool = True) -> str:
    """Return a statement whose parameters ``?`` are written as ``%s``.

    :param doubles: write each ``%`` twice, for drivers that format the whole text.
    """

    def written(found: re.Match[str]) -> str:
        if found[0] == "?":
            return "%s"
        return found[0].replace("%", "%%") if doubles else found[0]

    return _PARTS.sub(written, statement)
