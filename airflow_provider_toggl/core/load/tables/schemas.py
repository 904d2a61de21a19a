"""The tables of the streams, independent of any engine.

Names and types of columns are public: people's queries depend on them.
"""

from __future__ import annotations

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
