from __future__ import annotations

import pytest

from airflow_provider_toggl.core.rates.levels import FIELDS, KINDS, PRECEDENCE, Level, Subject


def test_each_kind_has_levels_and_each_level_says_what_it_is_set_for() -> None:
    assert set(PRECEDENCE) == set(KINDS)
    assert {level for levels in PRECEDENCE.values() for level in levels} == set(FIELDS)


@pytest.mark.parametrize(
    ("level", "wanted"),
    [
        ("task", Subject(1, task_id=4)),
        ("project_user", Subject(1, user_id=2, project_id=3)),
        ("project", Subject(1, project_id=3)),
        ("workspace_user", Subject(1, user_id=2)),
        ("workspace", Subject(1)),
    ],
)
def test_a_level_concerns_an_entry_by_the_ids_that_it_is_set_for(level: Level, wanted: Subject) -> None:
    assert Subject(1, 2, 3, 4).at_level(level) == wanted


def test_an_entry_without_a_project_has_only_the_rates_of_its_user_and_workspace() -> None:
    entry = Subject(1, user_id=2)
    assert [level for level in FIELDS if entry.at_level(level)] == ["workspace_user", "workspace"]
