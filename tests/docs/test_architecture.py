"""The architecture page and the glossary name folders and modules that exist, and the page names every folder."""

from __future__ import annotations

import re

import pytest
from support.repository import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
#: Folders without a row of their own: the row of the folder above says what is in them.
DETAILS = ("core/load/engines/", "core/events/", "core/databases/", "page/", "sandbox/")


def drawn_folders() -> list[str]:
    """Return the folders of the drawing as paths inside the package."""
    (drawing,) = re.findall(r"^airflow_provider_toggl/\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    folders: list[str] = []
    above: dict[int, str] = {}
    for indent, name in re.findall(r"^( +)(\w+/)", drawing, re.MULTILINE):
        above[len(indent)] = above.get(len(indent) - 2, "") + name
        folders.append(above[len(indent)])
    return folders


def package_folders() -> list[str]:
    """Return the folders of the package that have modules, as paths inside it."""
    package = ROOT / PACKAGE
    return [f"{path.parent.relative_to(package)}/" for path in package.rglob("__init__.py") if path.parent != package]


def named_paths(text: str) -> list[str]:
    """Return the folders and modules that a page names in code spans."""
    return re.findall(r"`((?:\w+/)+(?:\w+\.\w+)?|\w+\.py)`", text)


def test_every_folder_of_the_drawing_exists() -> None:
    assert [folder for folder in drawn_folders() if not (ROOT / PACKAGE / folder).is_dir()] == []


def test_every_folder_of_the_package_is_in_the_drawing() -> None:
    drawn = drawn_folders()
    assert [
        folder
        for folder in package_folders()
        if folder not in drawn and not any(folder.startswith(above) and folder != above for above in DETAILS)
    ] == []


@pytest.mark.parametrize("text", [PAGE, GLOSSARY], ids=["architecture", "glossary"])
def test_every_folder_and_module_that_a_page_names_exists(text: str) -> None:
    named = named_paths(text)
    assert len(named) > 20
    missing = [path for path in named if not ((ROOT / PACKAGE / path).exists() or (ROOT / path).exists())]
    assert missing == []


def test_the_glossary_explains_each_term_once() -> None:
    terms = [term for term in re.findall(r"^\| ([^|]+?) \|", GLOSSARY, re.MULTILINE) if term not in ("Term", "---")]
    assert len(terms) > 60
    assert sorted(set(terms)) == sorted(terms)
