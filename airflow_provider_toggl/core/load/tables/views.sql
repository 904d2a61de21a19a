-- The views over the streams' tables. In braces is what differs between engines; see dialect.FactColumns.

-- name: create_live_time_entries: entries that exist, as far as is known
{create_view} "live_time_entries" as
select * from "time_entries"
where "seen_at" is not null
    and ("deleted_at" is null or "seen_at" > "deleted_at")
    and ("absent_at" is null or "seen_at" > "absent_at");

-- name: create_time_entry_facts: live entries with names, hours, amount, and the date in the settings' zone
{create_view} "time_entry_facts" as
select
    entry."id" as "time_entry_id",
    entry."workspace_id",
    entry."user_id",
    person."fullname" as "user_name",
    project."client_id",
    client."name" as "client_name",
    entry."project_id",
    project."name" as "project_name",
    entry."task_id",
    task."name" as "task_name",
    entry."tag_ids",
    {tag_names} as "tag_names",
    entry."description",
    entry."billable",
    entry."start",
    entry."stop",
    {local_date} as "local_date",
    {hours} as "hours",
    {amount} as "amount",
    entry."currency"
from "live_time_entries" as entry
    {joins}
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
    left join "tasks" as task on task."id" = entry."task_id";
