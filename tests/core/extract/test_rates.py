from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_toggl.core.extract.rates import RatedObject
from airflow_provider_toggl.core.rates import Kind, Level, Subject

AT = datetime(2026, 3, 2, tzinfo=timezone.utc)
# As the definition models.Rate has it.
RATE = {
    "id": 5,
    "workspace_id": 7,
    "project_user_id": 40,
    "project_id": None,
    "amount": 80.5,
    "start": None,
    "end": None,
    "updated_at": "2026-03-01T10:00:00+00:00",
}


def rated(level: Level, subject: Subject, kind: Kind = "billable_rates") -> RatedObject:
    return RatedObject(kind, level, 40, subject, "EUR", AT, "project_users")


def test_a_rate_says_what_it_is_set_for_in_the_same_form_at_each_level() -> None:
    member = rated("project_user", Subject(7, user_id=10, project_id=20)).complete(RATE)
    assert {name: member[name] for name in ("user_id", "project_id", "task_id", "level", "level_id")} == {
        "user_id": 10,
        "project_id": 20,
        "task_id": None,
        "level": "project_user",
        "level_id": 40,
    }
    task = rated("task", Subject(7, task_id=30)).complete({**RATE, "project_id": 20})
    assert (task["task_id"], task["project_id"]) == (30, None)


def test_its_amount_stays_and_the_type_that_was_asked_for_counts() -> None:
    row = rated("project_user", Subject(7), "labor_costs").complete({**RATE, "type": "labor_rates"})
    assert (row["amount"], row["type"], row["currency"], row["at"]) == (80.5, "labor_costs", "EUR", RATE["updated_at"])


def test_the_marks_of_a_list_are_of_one_kind() -> None:
    subject = Subject(7)
    names = {rated("project_user", subject, kind).list_name for kind in ("billable_rates", "labor_costs")}
    assert names == {"project_users/billable_rates", "project_users/labor_costs"}
