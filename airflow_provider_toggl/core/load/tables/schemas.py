"""The tables of the streams, independent of any engine.

Names and types of columns are public: people's queries depend on them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

KEY = "id"
VERSION = ("updated_at", "observed_at")
MAXIMA = ("seen_at", "deleted_at", "absent_at")


@dataclass(frozen=True)
class Column:
    """A column.

    :param name: its name.
    :param type: ``bigint``, ``boolean``, ``text``, ``double``, ``timestamp`` (an instant, in UTC), ``date``,
        ``bigint_list`` or ``json``.
    """

    name: str
    type: str


@dataclass(frozen=True)
class TableSchema:
    """A stream's table: Toggl's own fields, then the five times of the merge rule; the key is ``id``.

    :param name: name of the table, and of the stream.
    :param columns: all columns in order.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def own(self) -> tuple[Column, ...]:
        """The columns that Toggl fills, including the key."""
        return self.columns[: -len(TIMES)]


def derive_id(*key: object) -> int:
    """Return the id of a record that has none: 63 bits of a hash of the values that make up its key.

    The same values give the same id in every release. Among a million records, the chance that two have the same is
    one in 18 million.
    """
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


TIMES = tuple(Column(name, "timestamp") for name in (*VERSION, *MAXIMA))

_INTEGRATION = (
    ("external_reference", "text"),
    ("integration_ext_id", "text"),
    ("integration_ext_type", "text"),
    ("integration_provider", "text"),
)


def _table(name: str, *own: tuple[str, str]) -> TableSchema:
    columns = [Column(column, type_) for column, type_ in (("id", "bigint"), ("workspace_id", "bigint"), *own)]
    return TableSchema(name, (*columns, *TIMES))


# Fields as in Toggl's published v9 definitions, without legacy aliases and what depends on the token's owner
# (permissions, pins).
TABLES: dict[str, TableSchema] = {
    table.name: table
    for table in (
        _table(
            "time_entries",
            ("user_id", "bigint"),
            ("project_id", "bigint"),
            ("task_id", "bigint"),
            ("description", "text"),
            ("billable", "boolean"),
            ("tag_ids", "bigint_list"),
            ("start", "timestamp"),
            ("stop", "timestamp"),
            ("duration", "bigint"),
            ("hourly_rate_cents", "bigint"),
            ("billable_amount_cents", "bigint"),
            ("currency", "text"),
        ),
        _table(
            "projects",
            ("client_id", "bigint"),
            ("name", "text"),
            ("active", "boolean"),
            ("is_private", "boolean"),
            ("status", "text"),
            ("color", "text"),
            ("billable", "boolean"),
            ("template", "boolean"),
            ("template_id", "bigint"),
            ("auto_estimates", "boolean"),
            ("estimated_seconds", "bigint"),
            ("actual_seconds", "bigint"),
            ("rate", "double"),
            ("rate_last_updated", "timestamp"),
            ("currency", "text"),
            ("fixed_fee", "double"),
            ("recurring", "boolean"),
            ("recurring_parameters", "json"),
            ("current_period", "json"),
            ("start_date", "date"),
            ("end_date", "date"),
            ("created_at", "timestamp"),
            *_INTEGRATION,
        ),
        _table(
            "clients",
            ("name", "text"),
            ("archived", "boolean"),
            ("notes", "text"),
            ("creator_id", "bigint"),
            *_INTEGRATION,
        ),
        _table("tags", ("name", "text"), ("creator_id", "bigint"), *_INTEGRATION[1:]),
        _table(
            "tasks",
            ("project_id", "bigint"),
            ("user_id", "bigint"),
            ("name", "text"),
            ("active", "boolean"),
            ("estimated_seconds", "bigint"),
            # Toggl's name; its documents say the value is in milliseconds. Kept as it comes.
            ("tracked_seconds", "bigint"),
            ("recurring", "boolean"),
            ("rate", "double"),
            ("rate_last_updated", "timestamp"),
            *_INTEGRATION,
        ),
        _table(
            "users",
            ("email", "text"),
            ("fullname", "text"),
            ("inactive", "boolean"),
            ("is_active", "boolean"),
            ("is_admin", "boolean"),
            ("role", "text"),
        ),
        _table(
            "project_users",
            ("project_id", "bigint"),
            ("user_id", "bigint"),
            ("group_id", "bigint"),
            ("manager", "boolean"),
            ("rate", "double"),
            ("rate_last_updated", "timestamp"),
            ("labor_cost", "double"),
            ("labor_cost_last_updated", "timestamp"),
        ),
        _table("groups", ("name", "text"), ("user_ids", "bigint_list"), ("workspace_ids", "bigint_list")),
        # Toggl's rates name what they are set for in different ways at each level, and have no currency: level,
        # level_id, user_id, project_id, task_id and currency are of the object that the history was read for.
        _table(
            "rates",
            ("type", "text"),
            ("level", "text"),
            ("level_id", "bigint"),
            ("user_id", "bigint"),
            ("project_id", "bigint"),
            ("task_id", "bigint"),
            ("amount", "double"),
            ("currency", "text"),
            ("start", "timestamp"),
            ("end", "timestamp"),
            ("rate_change_mode", "text"),
            ("creator_id", "bigint"),
            ("created_at", "timestamp"),
        ),
        _table(
            "workspace_users",
            ("user_id", "bigint"),
            ("name", "text"),
            ("email", "text"),
            ("role", "text"),
            ("role_id", "bigint"),
            ("active", "boolean"),
            ("inactive", "boolean"),
            ("is_direct", "boolean"),
            ("workspace_admin", "boolean"),
            ("organization_admin", "boolean"),
            ("group_ids", "bigint_list"),
            ("rate", "double"),
            ("rate_last_updated", "timestamp"),
            ("labor_cost", "double"),
            ("labor_cost_last_updated", "timestamp"),
            ("working_hours_in_minutes", "bigint"),
            ("timezone", "text"),
            ("view_edit_billable_rates", "boolean"),
            ("view_edit_labor_costs", "boolean"),
        ),
        _table(
            "timesheet_setups",
            ("member_id", "bigint"),
            ("approver_id", "bigint"),
            ("approver_ids", "bigint_list"),
            ("approvers_layers", "json"),
            ("periodicity", "text"),
            ("start_date", "date"),
            ("end_date", "date"),
            ("reminder_day", "bigint"),
            ("reminder_time", "text"),
            ("email_reminder_enabled", "boolean"),
            ("slack_reminder_enabled", "boolean"),
        ),
        _table(
            "timesheets",
            ("timesheet_setup_id", "bigint"),
            ("start_date", "date"),
            ("end_date", "date"),
            ("period_start", "date"),
            ("period_end", "date"),
            ("member_id", "bigint"),
            ("approver_id", "bigint"),
            ("approver_ids", "bigint_list"),
            ("status", "text"),
            ("submitted_at", "timestamp"),
            ("approved_or_rejected_at", "timestamp"),
            ("approved_or_rejected_id", "bigint"),
            ("rejection_comment", "text"),
            ("review_layer", "bigint"),
            ("reviews", "json"),
            ("period_locked", "boolean"),
            ("period_editable", "boolean"),
            ("periodicity", "text"),
            ("timezone", "text"),
            ("working_hours_in_minutes", "bigint"),
        ),
        _table(
            "organization_users",
            ("organization_id", "bigint"),
            ("user_id", "bigint"),
            ("name", "text"),
            ("email", "text"),
            ("role_id", "bigint"),
            ("joined", "boolean"),
            ("inactive", "boolean"),
            ("group_ids", "bigint_list"),
            ("workspace_count", "bigint"),
            ("user_workspaces", "json"),
        ),
        _table("currencies", ("iso_code", "text")),
        _table("project_groups", ("project_id", "bigint"), ("group_id", "bigint")),
        _table(
            "invoices",
            ("user_id", "bigint"),
            ("document_id", "text"),
            ("date", "date"),
            ("due_date", "date"),
            ("currency", "text"),
            ("items", "json"),
            ("taxes", "json"),
            ("purchase_number", "text"),
            ("payment_terms", "text"),
            ("message", "text"),
            ("billing_address", "text"),
            ("workspace_address", "text"),
            ("created_at", "timestamp"),
            *_INTEGRATION[1:],
        ),
        _table(
            "expenses",
            ("user_id", "bigint"),
            ("trip_id", "bigint"),
            ("date_of_expense", "date"),
            ("description", "text"),
            ("category", "text"),
            ("state", "text"),
            ("currency", "text"),
            # Whole numbers in Toggl's definition, which names no unit. Kept as they come.
            ("total_amount", "bigint"),
            ("tax_amount", "bigint"),
            ("total_amount_converted", "bigint"),
            ("tax_amount_converted", "bigint"),
            ("exchange_rate", "double"),
            ("exchange_rate_timestamp", "timestamp"),
            ("service_provider", "text"),
            ("service_provider_country", "text"),
            ("receipt_no", "text"),
            ("comment", "text"),
            ("rejection_reason", "text"),
            ("update_reason", "text"),
            ("approved_at", "timestamp"),
            ("approved_by", "bigint"),
            ("updated_by", "bigint"),
            ("created_at", "timestamp"),
            ("timezone", "text"),
        ),
        _table(
            "goals",
            ("user_id", "bigint"),
            ("creator_user_id", "bigint"),
            ("name", "text"),
            ("active", "boolean"),
            ("team_goal", "boolean"),
            ("status", "text"),
            ("comparison", "text"),
            ("target_seconds", "bigint"),
            ("billable", "boolean"),
            ("project_ids", "bigint_list"),
            ("task_ids", "bigint_list"),
            ("tag_ids", "bigint_list"),
            ("recurrence", "text"),
            ("start_date", "date"),
            ("end_date", "date"),
            ("current_recurrence_start_date", "date"),
            ("current_recurrence_end_date", "date"),
            ("current_recurrence_tracked_seconds", "bigint"),
            ("last_completed_recurrence_end_date", "date"),
            ("last_notified_at", "timestamp"),
            ("streak", "bigint"),
            ("icon", "text"),
        ),
        # Without the details of the project, which projects has.
        _table(
            "alerts",
            ("project_id", "bigint"),
            ("client_id", "bigint"),
            ("object_type", "bigint"),
            ("source_kind", "text"),
            ("threshold_type", "text"),
            ("threshold", "bigint"),
            ("thresholds", "bigint_list"),
            ("receivers", "bigint"),
            ("receiver_roles", "json"),
            ("receiver_users", "bigint_list"),
            ("receiver_groups", "bigint_list"),
            ("errors", "json"),
        ),
        _table(
            "time_entry_constraints",
            ("time_entry_constraints_enabled", "boolean"),
            ("description_present", "boolean"),
            ("project_present", "boolean"),
            ("task_present", "boolean"),
            ("tag_present", "boolean"),
        ),
        _table(
            "workspaces",
            ("organization_id", "bigint"),
            ("name", "text"),
            ("premium", "boolean"),
            ("business_ws", "boolean"),
            ("default_currency", "text"),
            ("default_hourly_rate", "double"),
            ("rate_last_updated", "timestamp"),
            ("rounding", "bigint"),
            ("rounding_minutes", "bigint"),
            ("working_hours_in_minutes", "bigint"),
            ("projects_billable_by_default", "boolean"),
            ("projects_enforce_billable", "boolean"),
            ("projects_private_by_default", "boolean"),
            ("only_admins_may_create_projects", "boolean"),
            ("only_admins_may_create_tags", "boolean"),
            ("only_admins_see_team_dashboard", "boolean"),
            ("limit_public_project_data", "boolean"),
            ("hide_start_end_times", "boolean"),
            ("disable_approvals", "boolean"),
            ("disable_expenses", "boolean"),
            ("disable_timesheet_view", "boolean"),
            ("max_data_retention_days", "bigint"),
            ("te_constraints", "json"),
            ("suspended_at", "timestamp"),
            ("last_modified", "timestamp"),
        ),
        _table(
            "organizations",
            ("name", "text"),
            ("pricing_plan_id", "bigint"),
            ("pricing_plan_name", "text"),
            ("pricing_plan_enterprise", "boolean"),
            ("is_multi_workspace_enabled", "boolean"),
            ("max_workspaces", "bigint"),
            ("user_count", "bigint"),
            ("max_data_retention_days", "bigint"),
            ("suspended_at", "timestamp"),
            ("created_at", "timestamp"),
        ),
        # No definition has these fields: the first ones are what the endpoint filters by.
        _table(
            "audit_log",
            ("created_at", "timestamp"),
            ("user_id", "bigint"),
            ("action", "text"),
            ("entity_type", "text"),
            ("entity_id", "bigint"),
            ("record", "json"),
        ),
        _table("project_periods", ("project_id", "bigint"), ("start_date", "date"), ("end_date", "date")),
        _table(
            "timesheet_history",
            ("timesheet_setup_id", "bigint"),
            ("start_date", "date"),
            ("member_id", "bigint"),
            ("timesheet_status", "text"),
            ("created_at", "timestamp"),
            ("user_id", "bigint"),
            ("action", "text"),
            ("record", "json"),
        ),
    )
}

HISTORY_FIELDS: tuple[Column, ...] = tuple(
    column
    for column in TABLES["time_entries"].own[2:]
    # Rates change amounts of entries that nobody edited, and webhooks have neither.
    if column.name not in ("hourly_rate_cents", "billable_amount_cents", "currency")
)
"""The fields of a time entry whose changes the history keeps."""

VERSIONS = TableSchema(
    "time_entry_versions",
    (
        Column("id", "bigint"),
        Column("time_entry_id", "bigint"),
        Column("workspace_id", "bigint"),
        Column("kind", "word"),
        Column("updated_at", "timestamp"),
        # Lists are sorted texts here: they are compared and shown, never searched.
        *(Column(column.name, "text" if column.type == "bigint_list" else column.type) for column in HISTORY_FIELDS),
        Column("first_observed_at", "timestamp"),
        Column("last_observed_at", "timestamp"),
        Column("told_at", "timestamp"),
        Column("told_as", "word"),
        Column("actor_id", "bigint"),
    ),
)
"""The versions of time entries, if history is kept; the key is a hash of entry, time and content."""
