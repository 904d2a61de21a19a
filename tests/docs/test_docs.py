from __future__ import annotations

import argparse
import ast
import importlib
import json
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.repository import ROOT

from airflow_provider_toggl.cli.commands import COMMANDS

PAGES = sorted((ROOT / "docs").rglob("*.md"))
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"))]
COMMAND = re.compile(r"(?:airflow toggl|python -m airflow_provider_toggl) (?P<command>[a-z]+)(?P<rest>[^`\n|>&)]*)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built documentation; a warning of the build is an error."""
    pytest.importorskip("mkdocs")  # in the environment of the newest Airflow only
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        build, cwd=ROOT, env={"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_the_documentation_fetches_nothing_when_read(site: Path) -> None:
    fetched = re.compile(r'<(?:script|img|iframe)[^>]+src="https?://|<link[^>]+rel="stylesheet"[^>]+href="https?://')
    assert [page.name for page in site.rglob("*.html") if fetched.search(page.read_text())] == []


def test_what_newcomers_search_for_leads_to_a_page(site: Path) -> None:
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    texts = [(one["title"] + one["text"]).lower() for one in found]
    words = ("pytest", "expand", "approvals", "focus")
    assert [word for word in words if not any(word in text for text in texts)] == []
    # The search ranks titles above texts.
    titled = {
        "snowflake": "warehouses/",
        "bigquery": "warehouse-bigquery/",
        "rates": "how-to/rates/",
        "uninstall": "how-to/uninstall/",
    }
    for word, page in titled.items():
        places = [one["location"] for one in found if word in one["title"].lower()]
        assert any(place.startswith(page) for place in places), word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_of_more_than_three_lines_is_included_from_a_file(page: Path) -> None:
    blocks = re.findall(r"^ *```(?:python|sql|json|yaml|toml)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert [block for block in blocks if len(block.splitlines()) > 3 and "--8<--" not in block] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_a_link_to_a_file_of_the_repository_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    # Pages that are made from the code are no files; whether links to them lead somewhere, the build says.
    assert [link for link in links if not (page.parent / link).exists() and "reference/" not in link] == []


def test_the_example_connection_is_one_that_the_hook_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider_toggl.hooks.toggl import TogglHook

    ((conn_id, connection),) = json.loads((ROOT / "docs" / "examples" / "connections.json").read_text()).items()
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
    hook = TogglHook(conn_id)
    assert hook.get_workspace_id() == 4502339761


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_a_command_of_ours_is_one_that_can_be_given(page: Path) -> None:
    # A line that goes on in the next one is one command.
    for found in COMMAND.finditer(page.read_text().replace("\\\n", "")):
        parser = argparse.ArgumentParser(found[0], exit_on_error=False)
        command = COMMANDS[found["command"]]
        importlib.import_module(command.module).add_arguments(parser)
        given = [{"SEQ": "1"}.get(word, word) for word in shlex.split(found["rest"], comments=True)]
        if given or command.name not in ("events", "subscriptions"):
            parser.parse_args(given)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_that_is_no_file_compiles(page: Path) -> None:
    for block in re.findall(r"^( *)```python\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        if "--8<--" not in block[1]:
            compile(textwrap.dedent(block[1]), page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "explanation").glob("*.md")), ids=lambda page: page.stem)
def test_an_explanation_has_a_drawing_in_words_and_names_tests_that_are_there(page: Path) -> None:
    text = page.read_text()
    ((words, drawing),) = re.findall(r"!\[(.+?)\]\((.+?)\)", text)
    assert len(words) > 60
    root = ET.parse(page.parent / drawing).getroot()
    assert all(root.findtext(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
    (shown,) = re.findall(r"^\*Shown by:\* (.+)$", text, re.MULTILINE)
    assert [test for test in re.findall(r"`([^`]+)`", shown) if not (ROOT / test).is_file()] == []
