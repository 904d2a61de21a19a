"""The entities and actions that webhook events name, which are also those of subscription filters."""

ENTITIES = (
    "client",
    "project",
    "project_group",
    "project_user",
    "tag",
    "task",
    "time_entry",
    "workspace",
    "workspace_user",
)
ACTIONS = ("created", "updated", "deleted")
