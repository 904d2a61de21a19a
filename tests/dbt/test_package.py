"""What the dbt package says of itself, read from its files; ``test_models.py`` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.dbt_project import PACKAGE, documented_models, read_yaml, sources
from support.repository import ROOT

from airflow_provider_toggl.core.load.tables.schemas import TABLES, TableSchema

MODELS = {path.stem: path for path in (PACKAGE / "models").rglob("*.sql")}
VARIABLES = read_yaml(Path("dbt_project.yml"))["vars"]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_each_table_of_a_stream_is_a_source_with_the_same_columns(table: TableSchema) -> None:
    assert sources()[table.name] == {column.name: column.type for column in table.columns}


def test_each_source_but_the_progress_has_a_staging_model_that_reads_all_its_columns() -> None:
    for name, columns in sources().items():
        if name == "sync_state":
            continue
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


def test_each_exposure_is_an_analysis_of_the_package() -> None:
    for exposure in read_yaml(Path("models/exposures.yml"))["exposures"]:
        text = (PACKAGE / "analyses" / f"{exposure['name']}.sql").read_text()
        assert set(exposure["depends_on"]) == set(re.findall(r"ref\('\w+'\)", text))
