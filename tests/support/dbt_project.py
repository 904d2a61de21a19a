"""A dbt project that has the package installed, and the tables that it reads.

dbt runs in an environment of its own, whose program ``TOGGL_DBT`` names: its requirements are not Airflow's.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import yaml
from support.repository import ROOT
from support.truth import rows

DBT = os.environ.get("TOGGL_DBT")
PACKAGE = ROOT / "dbt"
SOURCES = Path("models/staging/_sources.yml")
EXAMPLE = ROOT / "docs" / "examples" / "dbt"
SCHEMA = "analytics_toggl_track"
"""The schema of the models, by the example's profile and the package's ``+schema``."""

Place = Path | str
"""A DuckDB file, or the DSN of a PostgreSQL database."""


@cache
def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file of the package."""
    read: dict[str, Any] = yaml.safe_load((PACKAGE / path).read_text())
    return read


def sources() -> dict[str, dict[str, str]]:
    """Return the source tables, each with the types of its columns."""
    (source,) = read_yaml(SOURCES)["sources"]
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in source["tables"]
    }


def documented_models() -> dict[str, list[str]]:
    """Return the models that are documented, each with its columns."""
    return {
        model["name"]: [column["name"] for column in model["columns"]]
        for path in (PACKAGE / "models").rglob("_*.yml")
        for model in read_yaml(path.relative_to(PACKAGE)).get("models", ())
    }


def execute(place: Place, statements: Iterable[str]) -> None:
    """Run statements in one transaction."""
    text = ";\n".join(statements)
    if isinstance(place, Path):
        with duckdb.connect(str(place)) as db:
            db.execute(f"begin; {text}; commit")
    else:
        with psycopg.connect(place) as db:
            db.execute(text)


class DbtProject:
    """The example of the documentation as a project in a folder, with this repository's package.

    :param place: the warehouse.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self.place = place
        self._folder = Path(shutil.copytree(EXAMPLE, folder))
        (self._folder / "packages.yml").write_text(yaml.safe_dump({"packages": [{"local": str(PACKAGE)}]}))
        # All that `dbt deps` does with a local package, which takes it as long as a build takes to begin.
        (self._folder / "dbt_packages").mkdir()
        (self._folder / "dbt_packages" / "toggl_track").symlink_to(PACKAGE)

    def add_seed(self, name: str, rows: Iterable[Iterable[object]]) -> None:
        """Add a table that dbt loads from a file.

        :param rows: the names of the columns, and the rows.
        """
        folder = self._folder / "seeds"
        folder.mkdir()
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def build(self, variables: Mapping[str, Any], *select: str) -> str:
        """Build and test all models, or those of a selection, and return dbt's output.

        :raises AssertionError: something failed, or dbt warned of anything but the result of a test.
        """
        selected = ("--select", *select) if select else ()
        strict = json.dumps({"error": "all", "warn": ["LogTestResult"]})
        return self.run("--warn-error-options", strict, "build", *selected, "--vars", json.dumps(variables))

    def run(self, *arguments: str) -> str:
        """Run dbt and return its output.

        :raises AssertionError: it failed.
        """
        assert DBT is not None
        target = "duckdb" if isinstance(self.place, Path) else "postgres"
        command = [DBT, "--no-use-colors", *arguments, "--target", target]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        return done.stdout

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a query of the warehouse."""
        return rows(self.place, query)

    def _environment(self) -> dict[str, str]:
        names = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "PATH": os.environ.get("PATH", "")}
        names["HOME"] = str(self._folder)
        if isinstance(self.place, Path):
            return {**names, "TOGGL_DUCKDB": str(self.place)}
        fields = psycopg.conninfo.conninfo_to_dict(self.place)
        keys = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
        return {**names, **{name: str(fields[key]) for key, name in keys.items()}}
