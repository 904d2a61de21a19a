"""Named SQL statements from ``.sql`` files."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)


@cache
def load_queries(package: str, file: str) -> dict[str, str]:
    """Return the statements of a file by name, in the order of the file.

    A statement follows its line ``-- name: its_name: what it is for``.

    :param package: dotted name of the package that holds the file.
    :param file: path of the file in that package, for example ``sql/sqlite.sql``.
    """
    text = files(package).joinpath(file).read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
