"""The table of ``docs/metrics.md``: written from the catalogue, and read back as who runs Airflow reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.log_fields import FIELDS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
HEAD = "| name | kind | unit | tags | what it says | from |"


@dataclass(frozen=True)
class Documented:
    """A row of the table."""

    kind: str
    tags: frozenset[str]


def table_of_metrics() -> str:
    """Return the table as it must be in the page."""
    rows = [HEAD, "|---|---|---|---|---|---|"]
    for name, metric in metrics.CATALOGUE.items():
        tags = "; ".join(f"`{tag}`: {values}" for tag, values in metric.tags.items()) or "none"
        rows.append(f"| `{name}` | {metric.kind} | {metric.unit} | {tags} | {metric.meaning} | {metric.sender} |")
    return "\n".join(rows)


def table_of_fields() -> str:
    """Return the table of the log's fields as it must be in the page."""
    return "\n".join(
        ["| field | what it says |", "|---|---|", *(f"| `{name}` | {says} |" for name, says in FIELDS.items())]
    )


def documented() -> Mapping[str, Documented]:
    """Return what the page says, by name."""
    lines = PAGE.read_text().split(HEAD)[1].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[: lines.index("")]]
    return {
        name.strip("`"): Documented(kind, frozenset(re.findall(r"`(\w+)`: ", tags))) for name, kind, _, tags, *_ in rows
    }
