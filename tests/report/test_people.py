from __future__ import annotations

from airflow_provider_toggl.report.people import People, Person


def test_somebody_whom_no_table_has_is_named_by_number() -> None:
    people = People({1: Person("Ada", 480, is_active=True)}, has_members=True)
    assert people.find(1).name == "Ada"
    assert people.find(2) == Person("user 2", None, is_active=False)
