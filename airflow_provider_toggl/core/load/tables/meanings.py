"""What tables, views and columns mean, in words, and which columns have the ID of a row of another table.

The reference and its drawing are made from this. Toggl's fields are explained after Toggl's published definitions.
"""

from __future__ import annotations

#: What each table and view has, other than the tables of streams.
TABLE_MEANINGS: dict[str, str] = {
    "live_time_entries": "View: the rows of `time_entries` that are live.",
    "time_entry_facts": "View: live time entries with names, for most questions.",
    "time_entry_changes": "View: what changed in time entries, a row for each changed field. Empty unless history is "
    "kept.",
    "time_entry_history": "View: `time_entry_changes` with names, and the present state of the entry.",
    "time_entry_versions": "The versions of time entries, if history is kept.",
    "changed_days": "The days whose time entries changed, by the latest change of each.",
    "sync_state": "How far each stream is loaded, a row for each stream and workspace; and the positions of readers of "
    "changed days.",
    "rejected_records": "Records that could not be loaded.",
    "complete_lists": "When each stream was last listed completely. For the package alone.",
    "change_counter": "The number of the latest change. For the package alone.",
    "settings": "Settings of these tables, such as the zone of local dates. For the package alone.",
    "schema_version": "The migrations that these tables have. For the package alone.",
    "zone_offsets": "The offsets of the zone of local dates, for engines that know no time zones. For the package "
    "alone.",
}

#: Columns that mean the same in every table.
COMMON: dict[str, str] = {
    "id": "Toggl's ID. The key.",
    "workspace_id": "ID of the workspace.",
    "project_id": "ID of the project.",
    "client_id": "ID of the client.",
    "task_id": "ID of the task.",
    "user_id": "ID of the user.",
    "group_id": "ID of the group.",
    "time_entry_id": "ID of the time entry.",
    "tag_ids": "IDs of the tags. An empty list without tags.",
    "creator_id": "ID of the user who created it.",
    "name": "Name.",
    "user_name": "Present name of the user.",
    "client_name": "Present name of the client.",
    "project_name": "Present name of the project.",
    "task_name": "Present name of the task.",
    "description": "Description of the time entry.",
    "billable": "Whether it is billable.",
    "start": "When the time entry starts.",
    "stop": "When it stops. Null while it runs.",
    "duration": "Seconds, unrounded. Null while it runs.",
    "active": "False if it is archived, or a task that is done.",
    "currency": "ISO code of the currency of rates and amounts. Null if plan or rights do not give it.",
    "rate": "Billable rate by the hour. Null if none is set here, or if plan or rights do not give it.",
    "rate_last_updated": "When the rate was last changed.",
    "labor_cost": "Labor cost by the hour. Null if none is set here, or if plan or rights do not give it.",
    "labor_cost_last_updated": "When the labor cost was last changed.",
    "estimated_seconds": "Estimate, in seconds.",
    "recurring": "Whether it recurs.",
    "created_at": "When it was created in Toggl.",
    "external_reference": "A reference to the same thing elsewhere, as somebody entered it.",
    "integration_ext_id": "ID of the linked entity in the other system, such as Jira or Salesforce.",
    "integration_ext_type": "Type of the linked entity in the other system.",
    "integration_provider": "The other system, such as Jira or Salesforce.",
    "updated_at": "Toggl's time of the last change, in whole seconds.",
    "observed_at": "The time, by Toggl's clock, at which the fields were true.",
    "seen_at": "The latest time at which it was seen to exist.",
    "deleted_at": "The latest deletion that Toggl reported.",
    "absent_at": "The latest complete list without it.",
    "stream": "Name of the stream.",
    "seq": "Number of the latest change.",
}

_CHANGE = {
    "step": "Orders the changes of one entry.",
    "kind": "`created`, `found` (the first known state), `updated`, `deleted`, `absent` or `restored`.",
    "field": "The changed field, for `updated`. Otherwise null.",
    "old_value": "The value before, as text.",
    "new_value": "The value after, as text.",
    "changed_at": "Toggl's time of the change; for `deleted` and `absent`, of the event or report that showed it.",
    "changed_by": "ID of the user who made the change, from an event. Null if no event reported it.",
    "observed_at": "When the change was first seen.",
}

#: Columns that mean something else, or that only one table has.
OWN: dict[str, dict[str, str]] = {
    "time_entries": {
        "user_id": "ID of the user whose time it is.",
        "project_id": "ID of the project. Null without a project.",
        "task_id": "ID of the task. Null without a task.",
        "hourly_rate_cents": "The hourly rate that Toggl applied, in cents of the currency. Null after a change by an "
        "event until the next load.",
        "billable_amount_cents": "The amount, in cents of the currency. Null after a change by an event until the next "
        "load.",
    },
    "projects": {
        "client_id": "ID of the client. Null without a client.",
        "is_private": "Whether only its members see it.",
        "status": "`upcoming`, `active`, `ended`, `archived` or `deleted`.",
        "color": "Colour, in hexadecimal.",
        "template": "Whether it is a template of projects.",
        "template_id": "ID of the project that was its template.",
        "auto_estimates": "Whether the estimate is the sum of those of its tasks.",
        "estimated_seconds": "Time estimate, in seconds: the budget in hours.",
        "actual_seconds": "Tracked time, in seconds, as Toggl counts it.",
        "fixed_fee": "Fixed fee, in the currency.",
        "recurring_parameters": "How it recurs, as Toggl gives it.",
        "current_period": "The present period of a recurring project, as Toggl gives it.",
        "start_date": "First day.",
        "end_date": "Last day.",
    },
    "clients": {"archived": "Whether it is archived.", "notes": "Notes about the client."},
    "tasks": {
        "user_id": "ID of the user that the task is assigned to. Null if it is nobody's.",
        "tracked_seconds": "Tracked time as it comes. Toggl says that it is in milliseconds, despite its name.",
    },
    "users": {
        "id": "Toggl's ID of the user, in every workspace the same. The key.",
        "email": "E-mail address.",
        "fullname": "Name.",
        "inactive": "Whether the user is deactivated, or no longer in the workspace.",
        "is_active": "Whether the user has joined the workspace.",
        "is_admin": "Whether the user is an administrator. Toggl prefers `role`.",
        "role": "Role in the workspace.",
    },
    "project_users": {
        "id": "Toggl's ID of the membership. The key.",
        "group_id": "ID of the group through which the user is a member. Null without one.",
        "manager": "Whether the user manages the project.",
    },
    "groups": {
        "user_ids": "IDs of the users in the group.",
        "workspace_ids": "IDs of the workspaces that the group has access to.",
    },
    "workspace_users": {
        "id": "Toggl's ID of the membership in the workspace, not of the user. The key.",
        "user_id": "ID of the user: `id` of `users`, `user_id` of time entries.",
        "email": "E-mail address.",
        "role": "Role in the workspace.",
        "role_id": "ID of the role.",
        "active": "Whether the user accepted the invitation.",
        "inactive": "Whether an administrator deactivated the user.",
        "is_direct": "Whether the user is a member without a group.",
        "workspace_admin": "Whether the user is an administrator of the workspace.",
        "organization_admin": "Whether the user is an administrator of the organization.",
        "group_ids": "IDs of the groups that the user is in.",
        "working_hours_in_minutes": "Working hours, in minutes. Toggl does not say of which period.",
        "timezone": "Time zone of the user.",
        "view_edit_billable_rates": "Whether the role may see and change billable rates.",
        "view_edit_labor_costs": "Whether the role may see and change labor costs.",
    },
    "time_entry_facts": {
        "client_id": "ID of the project's client.",
        "tag_names": "Present names of the tags.",
        "local_date": "The day it started, in the zone set by `facts_timezone`.",
        "hours": "Duration in hours, unrounded. Null while it runs.",
        "amount": "`billable_amount_cents` as a decimal number of the currency.",
    },
    "time_entry_versions": {
        "id": "Hash of entry, time and content. The key.",
        "kind": "`state`, or `deleted` or `absent` if it was gone.",
        "tag_ids": "IDs of the tags, sorted, as text.",
        "first_observed_at": "When this version was first seen.",
        "last_observed_at": "When it was last seen.",
        "told_at": "Time of the event that reported it.",
        "told_as": "Action of that event.",
        "actor_id": "ID of the user who made the change, from that event.",
    },
    "time_entry_changes": _CHANGE,
    "time_entry_history": _CHANGE
    | {
        "changed_by_name": "Present name of the user who made the change.",
        "user_id": "ID of the user whose time it is now.",
        "client_id": "ID of the client of the present project.",
        "project_id": "ID of the present project.",
        "description": "Present description.",
        "start": "Present start.",
    },
    "changed_days": {
        "day": "The day, a `local_date` of `time_entry_facts`.",
        "changed_at": "When the change was loaded.",
    },
    "sync_state": {
        "scope": "ID of the workspace.",
        "watermark": "Every change up to then is loaded.",
        "cursor": "Where to continue. For the package alone.",
        "last_run_at": "When a task last loaded it.",
        "requests_spent": "Requests to Toggl, of all runs.",
    },
    "rejected_records": {
        "id": "Hash of the record. The key.",
        "raw": "The record as Toggl sent it.",
        "reason": "Why it could not be loaded.",
        "observed_at": "When Toggl sent it.",
        "landed_at": "When it was stored.",
    },
    "complete_lists": {"complete_at": "Time of the latest complete list, by Toggl's clock."},
    "settings": {"key": "Name of the setting.", "value": "Its value."},
    "schema_version": {"version": "Number of the migration.", "applied_at": "When it was applied."},
    "zone_offsets": {
        "begin_at": "When the offset begins to hold.",
        "end_at": "When it ends.",
        "offset_seconds": "How far local time is ahead of UTC.",
    },
}
OWN["live_time_entries"] = OWN["time_entries"]

#: The table whose row a column names by its ID. Lists name several rows.
REFERENCES: dict[str, str] = {
    "time_entry_id": "time_entries",
    "project_id": "projects",
    "template_id": "projects",
    "client_id": "clients",
    "task_id": "tasks",
    "tag_ids": "tags",
    "group_id": "groups",
    "group_ids": "groups",
    "user_id": "users",
    "user_ids": "users",
    "creator_id": "users",
    "actor_id": "users",
}


def find_meaning(table: str, column: str) -> str:
    """Return what a column means, empty if nothing is known about it."""
    return OWN.get(table, {}).get(column) or COMMON.get(column, "")
