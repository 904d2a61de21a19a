"""The people of a workspace: names and working hours."""

# ruff: noqa: S608 - the only words put into the statement are this package's
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.report.picture import read_rows

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.warehouse import Warehouse

_MEMBERS = f"""
select "user_id", "name", "inactive", "working_hours_in_minutes" from "workspace_users"
where "workspace_id" = ? and {is_live()}
"""
_USERS = 'select "id", "fullname" from "users" where "workspace_id" = ?'


@dataclass(frozen=True)
class Person:
    """A member, or somebody who was one.

    :param minutes: working minutes of a day as set in Toggl; None where they are not set.
    :param is_active: a member who can log in.
    """

    name: str
    minutes: int | None = None
    is_active: bool = False


class People:
    """Looks up persons by their user id.

    :param persons: those that are known.
    :param has_members: whether the table ``workspace_users`` has rows.
    """

    def __init__(self, persons: dict[int, Person], *, has_members: bool) -> None:
        self.persons = persons
        self.has_members = has_members

    def find(self, user_id: int) -> Person:
        """Return a person; one whom no table has is named by number."""
        return self.persons.get(user_id) or Person(f"user {user_id}")


def read_people(warehouse: Warehouse, workspace_id: int) -> People:
    """Read the members, and the names of those who are no longer any."""
    users = read_rows(warehouse, _USERS, [workspace_id])
    members = read_rows(warehouse, _MEMBERS, [workspace_id])
    persons = {int(id_): Person(name) for id_, name in users if name}
    for id_, name, inactive, minutes in members:
        if id_ is not None:
            known = name or (persons[int(id_)].name if int(id_) in persons else f"user {id_}")
            # 0 minutes are no working hours either: nothing can be divided by them.
            persons[int(id_)] = Person(known, int(minutes) if minutes else None, not inactive)
    return People(persons, has_members=bool(members))
