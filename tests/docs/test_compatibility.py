"""The page of what is public names what is there, and all of what DAG authors are given."""

from __future__ import annotations

import importlib
import inspect
import re
from importlib.metadata import metadata, requires

from support.repository import ROOT

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.get_provider_info import get_provider_info

PAGE = (ROOT / "docs" / "compatibility.md").read_text()
PUBLIC = {
    module: re.findall(r"`(\w+)`", names)
    for module, names in re.findall(r"^\| `(airflow_provider_toggl\.[\w.]+)` \| (.+) \|$", PAGE, re.MULTILINE)
}


def test_all_that_is_called_public_is_there() -> None:
    assert len(PUBLIC) >= 12
    missing = [
        f"{module}.{name}"
        for module, names in PUBLIC.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]
    assert missing == []


def test_every_class_that_the_metadata_leads_to_is_called_public() -> None:
    info = get_provider_info()
    modules = [
        name for kind in ("operators", "sensors", "triggers", "hooks") for name in info[kind][0]["python-modules"]
    ]
    modules += [transfer["python-module"] for transfer in info["transfers"]]
    for name in modules:
        there = {
            one.__name__
            for one in vars(importlib.import_module(name)).values()
            if inspect.isclass(one)
            and one.__module__ == name
            and one.__name__.startswith("Toggl")
            and one.__name__.endswith(("Operator", "Sensor", "Trigger", "Hook"))
        }
        assert there == set(PUBLIC.get(name, ())), name


def test_every_error_is_public_by_its_module() -> None:
    assert "| `airflow_provider_toggl.core.errors` | every class |" in PAGE
    assert all(not name.startswith("_") for name, one in vars(errors).items() if inspect.isclass(one))


def test_the_extras_and_versions_are_those_of_the_metadata() -> None:
    package = metadata("airflow-provider-toggl")
    extras = ", ".join(f"`{extra}`" for extra in sorted(package.get_all("Provides-Extra") or []))
    assert f"| Extras | {extras} |" in PAGE
    assert package["Requires-Python"] == "<3.14,>=3.10"
    assert "| Python | 3.10 to 3.13 |" in PAGE
    assert "apache-airflow>=3.2" in (requires("airflow-provider-toggl") or [])
    assert "| Airflow | 3.2 and newer |" in PAGE
    assert "duckdb>=1.4" in (requires("airflow-provider-toggl") or [])
    assert "| DuckDB | 1.4 and newer |" in PAGE


def test_the_airflows_that_are_called_tested_are_those_of_the_locks() -> None:
    for lock in ("newest", "oldest"):
        wanted = (ROOT / "requirements" / f"airflow-{lock}.in").read_text()
        (version,) = re.findall(r"^apache-airflow\[?[\w,]*\]?==([\d.]+)$", wanted, re.MULTILINE)
        assert version in PAGE
