"""Named SQL statements out of this package's ``sql`` files."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)


@cache
def load_queries(file: str) -> dict[str, str]:
    """Return the statements of ``sql/<file>.sql`` by name, in the order of the file.

    A statement begins after its line ``-- name: its_name: what it is for``.
    """
    text = (files(__package__) / "sql" / f"{file}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
