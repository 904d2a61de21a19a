"""The reference of metrics, read as who runs Airflow reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from support.reference_pages import pages

_ROW = re.compile(r"^\| `(?P<name>toggl\.[\w.]+)` \| (?P<kind>\w+), [^|]+ \| (?P<meaning>.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A row of the table."""

    kind: str
    tags: frozenset[str]


def documented() -> Mapping[str, Documented]:
    """Return what the page says, by name."""
    return {
        row["name"]: Documented(row["kind"], frozenset(re.findall(r"<br>`(\w+)`: ", row["meaning"])))
        for row in _ROW.finditer(pages()["reference/metrics.md"])
    }
