from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from support.repository import package_modules

import airflow_provider_toggl
from airflow_provider_toggl.get_provider_info import get_provider_info

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[1]
AIRFLOW = Path(airflow.__path__[0])
# What a provider of Airflow's own repository must say about its releases, and one that is installed need not.
RELEASE_KEYS = {"state": "ready", "source-date-epoch": 0, "versions": ["0.1.0"]}


@pytest.fixture
def info() -> dict[str, Any]:
    return get_provider_info()


def load_schema(name: str) -> dict[str, Any]:
    return dict(json.loads((AIRFLOW / name).read_text()))


def test_the_metadata_passes_the_schema_of_installed_providers(info: dict[str, Any]) -> None:
    jsonschema.validate(info, load_schema("provider_info.schema.json"))


def test_the_metadata_passes_the_schema_of_provider_sources(info: dict[str, Any]) -> None:
    jsonschema.validate(info | RELEASE_KEYS, load_schema("provider.yaml.schema.json"))


def test_the_form_behaviour_passes_the_schema_that_the_form_is_checked_with(info: dict[str, Any]) -> None:
    behaviour = info["connection-types"][0]["ui-field-behaviour"]
    renamed = {key.replace("-", "_"): value for key, value in behaviour.items()}
    jsonschema.validate(renamed, load_schema("customized_form_field_behaviours.schema.json"))


def test_every_module_and_class_that_is_named_exists(info: dict[str, Any]) -> None:
    modules = {
        name
        for kind in ("hooks", "operators", "sensors", "triggers")
        for e in info.get(kind, [])
        for name in e["python-modules"]
    }
    modules |= {transfer["python-module"] for transfer in info["transfers"]}
    for name in modules:
        importlib.import_module(name)
    for connection_type in info["connection-types"]:
        module, _, name = connection_type["hook-class-name"].rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("hooks", "Hook"),
        ("operators", "Operator"),
        ("sensors", "Sensor"),
        ("triggers", "Trigger"),
        ("transfers", "Operator"),
    ],
)
def test_every_module_with_a_class_for_dag_authors_is_named(info: dict[str, Any], kind: str, suffix: str) -> None:
    there = {
        module.name
        for module in package_modules()
        if module.name.startswith(f"airflow_provider_toggl.{kind}.")
        and any(isinstance(node, ast.ClassDef) and node.name.endswith(suffix) for node in module.tree.body)
    }
    entries = info.get(kind, [])
    named = {name for e in entries for name in e.get("python-modules", [e.get("python-module")])}
    assert named == there


def test_every_integration_that_is_named_is_declared_here_or_by_a_provider_of_airflow_itself(
    info: dict[str, Any],
) -> None:
    declared = {integration["integration-name"] for integration in info["integrations"]} | {"Common SQL", "Common IO"}
    named = {
        e["integration-name"] for kind in ("hooks", "operators", "sensors", "triggers") for e in info.get(kind, [])
    }
    for transfer in info["transfers"]:
        named |= {transfer["source-integration-name"], transfer["target-integration-name"]}
    assert named <= declared


def test_every_connection_field_has_a_label_and_a_help_text(info: dict[str, Any]) -> None:
    for name, field in info["connection-types"][0]["conn-fields"].items():
        assert field["label"], name
        assert field["description"].endswith("."), name


def test_every_secret_of_the_connection_is_a_password_field(info: dict[str, Any]) -> None:
    fields = info["connection-types"][0]["conn-fields"]
    secret = {name for name in fields if "secret" in name or "token" in name or "password" in name}
    assert secret == {"webhook_secret", "previous_webhook_secret"}
    assert all(fields[name]["schema"]["format"] == "password" for name in secret)


def test_airflow_finds_the_provider_the_connection_type_and_the_settings() -> None:
    program = """
from airflow.configuration import AIRFLOW_HOME, conf
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
assert manager.providers["airflow-provider-toggl"].version == "0.1.0"
assert "toggl" in manager.hooks
assert manager.field_behaviours["toggl"]["relabeling"]["password"] == "API token"
conf.load_providers_configuration()
assert conf.get("toggl", "state_dir") == f"{AIRFLOW_HOME}/toggl"
assert conf.get("toggl", "warehouse_path") == f"{AIRFLOW_HOME}/toggl/warehouse.duckdb"
assert conf.getint("toggl", "warehouse_lock_timeout") == 300
assert conf.getint("toggl", "report_lag") == 300
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_same_everywhere() -> None:
    assert airflow_provider_toggl.__version__ == version("airflow-provider-toggl")


def test_the_installed_package_has_the_entry_point() -> None:
    (entry_point,) = (
        e for e in entry_points(group="apache_airflow_provider") if e.module.startswith("airflow_provider_toggl.")
    )
    assert entry_point.load() is get_provider_info
