"""What the dbt package says of itself, read from its files; ``test_models.py`` runs it."""

from __future__ import annotations

import re
from pathlib import Path

from support.dbt_project import PACKAGE, documented_models, read_yaml, sources
from support.repository import ROOT
from support.truth import rows

from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.tables.schemas import TABLES

MODELS = {path.stem: path for path in (PACKAGE / "models").rglob("*.sql")}
VARIABLES = read_yaml(Path("dbt_project.yml"))["vars"]


def test_each_table_of_a_stream_is_a_source() -> None:
    assert TABLES.keys() <= sources().keys()


def test_sources_have_the_columns_of_the_tables_and_views_of_a_warehouse(empty_warehouse: Path) -> None:
    query = """
        select table_name, column_name, data_type from information_schema.columns
        where table_schema = 'toggl' order by ordinal_position
    """
    there: dict[str, dict[str, str]] = {}
    for row in rows(empty_warehouse, query):
        there.setdefault(row["table_name"], {})[row["column_name"]] = row["data_type"].lower()
    wanted = {name: {key: DUCKDB.types[type_] for key, type_ in table.items()} for name, table in sources().items()}
    assert {name: table for name, table in wanted.items() if there.get(name) != table} == {}


def test_each_table_of_a_stream_has_a_staging_model_that_reads_all_its_columns() -> None:
    for name, columns in sources().items():
        if name in ("sync_state", "time_entry_amounts"):
            continue  # progress, and a view of which some columns are enough
        text = MODELS[f"stg_toggl_track__{name}"].read_text()
        own = columns.keys() - {"updated_at", "observed_at", "seen_at", "deleted_at", "absent_at"}
        if name == "workspaces":
            own -= {"workspace_id"}  # its key
        assert [column for column in own if not re.search(rf'^    "?{column}"?(,| as |$)', text, re.MULTILINE)] == []


def test_each_model_is_documented() -> None:
    assert documented_models().keys() == MODELS.keys()


def test_each_variable_is_declared_documented_and_used() -> None:
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".sql", ".yml")]
    used = {name for path in files for name in re.findall(r"(?:var|choice)\(['\"](\w+)", path.read_text())}
    assert used - {"toggl_database"} == set(VARIABLES)
    page = (ROOT / "docs" / "dbt.md").read_text()
    assert [name for name in used if f"`{name}`" not in page] == []


def test_the_documentation_names_each_model() -> None:
    page = (ROOT / "docs" / "dbt.md").read_text()
    assert [name for name in MODELS if not name.startswith(("stg_", "int_")) and f"`{name}`" not in page] == []


def test_each_column_is_described_and_each_model_has_a_test_of_its_key() -> None:
    for file in (PACKAGE / "models").rglob("_*.yml"):
        for model in read_yaml(file.relative_to(PACKAGE)).get("models", ()):
            tests = [test for part in (model, *model["columns"]) for test in part.get("data_tests", ())]
            assert any(test == "unique" or "toggl_track.unique_together" in test for test in tests), model["name"]
            assert all(part.get("description") for part in (model, *model["columns"])), model["name"]


def test_the_exposures_are_the_analyses_of_the_package() -> None:
    exposures = read_yaml(Path("models/exposures.yml"))["exposures"]
    refs = {path.stem: set(re.findall(r"ref\('\w+'\)", path.read_text())) for path in PACKAGE.glob("analyses/*.sql")}
    assert {one["name"]: set(one["depends_on"]) for one in exposures} == refs
    used = {ref for found in refs.values() for ref in found}
    assert {"utilization", "project_profitability", "budget_burn", "unbilled", "approvals"} <= {
        ref[5:-2] for ref in used
    }
