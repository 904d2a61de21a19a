from __future__ import annotations

import re
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
from support.repository import ROOT, load_program


@pytest.fixture(scope="module")
def erd() -> ModuleType:
    return load_program(ROOT / "scripts" / "erd.py")


COLUMNS = {"entries": ["id", "project_id", "note"], "projects": ["id", "parent_id", "name"], "alone": ["key"]}
KEYS = {"entries": ["id"], "projects": ["id"], "alone": ["key"]}
REFERENCES = {"project_id": "projects", "parent_id": "projects"}


def test_a_table_stands_to_the_left_of_what_it_refers_to(erd: ModuleType) -> None:
    assert erd.find_levels({"a": {"b", "c"}, "b": {"c"}, "c": {"c"}}) == {"a": 2, "b": 1, "c": 0}


def test_references_in_a_circle_are_refused_by_name(erd: ModuleType) -> None:
    with pytest.raises(ValueError, match="a -> b -> a"):
        erd.find_levels({"a": {"b"}, "b": {"a"}})


def test_each_reference_is_a_line_and_each_table_a_card_within_the_drawing(erd: ModuleType) -> None:
    drawing = erd.draw(COLUMNS, KEYS, REFERENCES)
    root = ET.fromstring(drawing)
    assert drawing.count('fill="none"') == 2
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == [
        "entries", "id", "project_id", "1 more column", "projects", "id", "parent_id", "1 more column",
        "alone", "key", "no more columns",
    ]  # fmt: skip
    numbers = [(int(x), int(y)) for x, y in re.findall(r'<text x="(\d+)" y="(\d+)"', drawing)]
    assert all(x < int(root.attrib["width"]) and y < int(root.attrib["height"]) for x, y in numbers)
    assert root.findtext("{http://www.w3.org/2000/svg}desc") == (
        "entries.project_id is an id of projects; projects.parent_id is an id of projects."
    )


def test_a_reference_to_a_table_that_is_not_drawn_is_a_column_as_any_other(erd: ModuleType) -> None:
    drawing = erd.draw({"entries": ["id", "project_id"]}, {"entries": ["id"]}, REFERENCES)
    assert 'fill="none"' not in drawing
    assert "1 more column<" in drawing
