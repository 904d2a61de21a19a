"""Parameters are written ``?``; this rewrites them for drivers that use ``%s``."""

from __future__ import annotations

import re
from functools import lru_cache

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


@lru_cache(256)
def to_format(sql: str, doubles: bool = True) -> str:
    """Return SQL with ``%s`` for each ``?`` that is a parameter.

    :param doubles: write each ``%`` twice, for drivers that format the whole text.
    """

    def written(found: re.Match[str]) -> str:
        if found[0] == "?":
            return "%s"
        return found[0].replace("%", "%%") if doubles else found[0]

    return _PARTS.sub(written, sql)
