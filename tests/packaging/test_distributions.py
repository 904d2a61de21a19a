"""What is published: what is in it, what it says of itself, and that it can be made again from its sources."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from importlib.metadata import requires
from pathlib import Path

import pytest
from support.distributions import build
from support.repository import PACKAGE, ROOT, load_program, package_modules
from trove_classifiers import classifiers

STEM = "airflow_provider_toggl-0.1.0"

# Where an import comes from, by its longest prefix. What Airflow itself needs is here only if an extra names it.
DISTRIBUTIONS = {
    "airflow": "apache-airflow",
    "airflow.providers.common.compat": "apache-airflow-providers-common-compat",
    "airflow.providers.common.sql": "apache-airflow-providers-common-sql",
    "airflow.providers.standard": "apache-airflow-providers-standard",
    "airflow.providers.postgres": "apache-airflow-providers-postgres",
    # What requests is made of, and hands out: its adapters take and return urllib3's objects.
    "urllib3": "requests",
    "mysql.connector": "mysql-connector-python",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("dist"), "wheel", "sdist")


@pytest.fixture(scope="module")
def metadata(built: dict[str, Path]) -> Message:
    with zipfile.ZipFile(built["wheel"]) as archive:
        return Parser().parsestr(archive.read(f"{STEM}.dist-info/METADATA").decode())


def names_in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.removeprefix(f"{STEM}/") for member in archive if member.isfile()}


def files_of_the_package() -> set[str]:
    files = ((ROOT / PACKAGE) / name for name in (ROOT / PACKAGE).rglob("*") if "__pycache__" not in name.parts)
    return {file.relative_to(ROOT).as_posix() for file in files if file.is_file()}


def test_the_wheel_has_the_package_and_its_metadata_and_nothing_else(built: dict[str, Path]) -> None:
    inside = {name for name in names_in_wheel(built["wheel"]) if not name.startswith(f"{STEM}.dist-info/")}
    assert inside == files_of_the_package()
    assert f"{STEM}.dist-info/licenses/LICENSE" in names_in_wheel(built["wheel"])


def test_the_sdist_has_what_tests_and_documentation_need_and_no_leftovers(built: dict[str, Path]) -> None:
    names = names_in_sdist(built["sdist"])
    assert files_of_the_package() <= names
    wanted = ("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "mkdocs.yml")
    assert [
        name for name in (*wanted, "tests/conftest.py", "docs/index.md", "scripts/reference.py") if name not in names
    ] == []
    assert [name for name in names if re.search(r"__pycache__|\.pyc$|(^|/)\.(venv|demo|cache|git/)", name)] == []


def test_the_sdist_makes_the_same_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built["sdist"]) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / "again", "wheel", source=tmp_path / STEM)["wheel"]
    with zipfile.ZipFile(built["wheel"]) as first, zipfile.ZipFile(again) as second:
        assert {i.filename: i.CRC for i in first.infolist()} == {i.filename: i.CRC for i in second.infolist()}


def test_the_metadata_says_who_may_use_it_where(metadata: Message) -> None:
    assert metadata["Name"] == "airflow-provider-toggl"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == "<3.14,>=3.10"
    found = metadata.get_all("Classifier") or []
    assert [one for one in found if one not in classifiers] == []
    pythons = [one.rpartition(" ")[2] for one in found if one.startswith("Programming Language :: Python :: 3.")]
    assert pythons == ["3.10", "3.11", "3.12", "3.13"]
    assert "Framework :: Apache Airflow :: Provider" in found
    assert set(metadata.get_all("Provides-Extra") or []) == {
        "bigquery", "clickhouse", "iceberg", "mysql", "polars", "postgres", "report", "sandbox", "snowflake", "sqlite",
    }  # fmt: skip


def test_airflow_and_pytest_find_provider_and_plugins_by_entry_points(built: dict[str, Path]) -> None:
    entries = ConfigParser()
    with zipfile.ZipFile(built["wheel"]) as archive:
        entries.read_string(archive.read(f"{STEM}.dist-info/entry_points.txt").decode())
    assert dict(entries["apache_airflow_provider"]) == {
        "provider_info": f"{PACKAGE}.get_provider_info:get_provider_info"
    }
    assert dict(entries["airflow.plugins"]) == {"toggl": f"{PACKAGE}.plugin:TogglPlugin"}
    assert dict(entries["pytest11"]) == {"toggl": f"{PACKAGE}.pytest_plugin"}


def test_the_readme_can_be_shown_by_a_package_index(metadata: Message) -> None:
    markdown = pytest.importorskip("readme_renderer.markdown")  # in the environment of the newest Airflow only
    assert metadata["Description-Content-Type"] == "text/markdown"
    shown = markdown.render(metadata.get_payload())
    assert shown is not None
    assert re.search(r"<h1[^>]*>airflow-provider-toggl", shown)
    assert "<pre" in shown


def readme_with(source: str) -> str:
    module = load_program(ROOT / "scripts" / "published_readme.py")
    return str(module.published((ROOT / "README.md").read_text(), source))


LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)]+)\)")


def test_the_published_readme_needs_no_file_of_the_repository(metadata: Message) -> None:
    shown = str(metadata.get_payload())
    assert shown.strip() == readme_with(metadata_urls(metadata).get("Source", "")).strip()
    assert [link for _, link in LINK.findall(shown) if not link.startswith("https://")] == []


def metadata_urls(metadata: Message) -> dict[str, str]:
    return dict(url.split(", ", 1) for url in metadata.get_all("Project-URL") or [])


def test_links_and_pictures_of_the_published_readme_lead_to_the_repository_once_it_has_an_address() -> None:
    links = LINK.findall(readme_with("https://example.com/us/toggl/"))
    assert ("!", "https://example.com/us/toggl/raw/HEAD/docs/images/tutorial-chart.png") in links
    assert ("", "https://example.com/us/toggl/blob/HEAD/docs/comparison.md") in links
    prefixes = ("https://example.com/us/toggl/raw/HEAD/", "https://example.com/us/toggl/blob/HEAD/")
    ours = [link.removeprefix(one) for _, link in links for one in prefixes if link.startswith(one)]
    assert len(ours) > 20
    assert [path for path in ours if not (ROOT / path.partition("#")[0]).is_file()] == []


#: What Airflow's own plugins, models and logs are made of: it chooses their versions, and cannot be without.
OF_AIRFLOW = {"fastapi", "jinja2", "packaging", "sqlalchemy", "structlog"}
#: Of packages that this environment does not have, and of what they are made of.
OF_CLOUDS = {
    "clickhouse_connect": "clickhouse_connect",
    "google": "google_cloud_bigquery",
    "snowflake": "snowflake_connector_python",
}


#: Of the plugin that nothing but pytest imports.
OF_PYTEST = {"pytest"}


def test_whatever_is_imported_is_declared() -> None:
    asked = requires("airflow-provider-toggl") or []
    declared = {re.split(r"[\[<>=~!; ]", one)[0].replace("-", "_") for one in asked}
    undeclared = {
        f"{module.name} imports {name}" for module in package_modules() for name in imported_when_run(module.text)
        if OF_CLOUDS.get(name.split(".")[0], origin(name).replace("-", "_")) not in declared
        and name.split(".")[0] not in OF_AIRFLOW | OF_PYTEST
    }  # fmt: skip
    assert undeclared == set()


def imported_when_run(text: str) -> set[str]:
    """Return what a module imports of others than this package and Python, what type checkers alone see left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(text))
    return {name for name in found if name.split(".")[0] not in {*sys.stdlib_module_names, PACKAGE}}


def origin(name: str) -> str:
    fitting = [prefix for prefix in DISTRIBUTIONS if f"{name}.".startswith(f"{prefix}.")]
    return DISTRIBUTIONS[max(fitting, key=len)] if fitting else name.split(".", maxsplit=1)[0]
