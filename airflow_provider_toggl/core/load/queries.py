"""Named SQL statements from the ``.sql`` files of this package."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)(?:: .*)?$", re.MULTILINE)


@cache
def load_queries(path: str) -> dict[str, str]:
    """Return the statements of an SQL file by name, in the order of the file.

    A statement begins after its line ``-- name: its_name: what it is for``.

    :param path: the file below ``core/load``, without ``.sql``: for example ``tables/state``.
    """
    text = (files(__package__) / f"{path}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return {name: body.strip().removesuffix(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
