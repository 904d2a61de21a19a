-- For engines of which nothing is known but that they understand SQL. Names of tags are for those that can read JSON.

-- name: take_turn: one landing a schema at a time; the transaction's end gives the row back
update "settings" set "value" = 'taken' where "key" = 'turn';

-- name: create_live_time_entries: entries that exist by the latest that is known
create view "live_time_entries" as
select * from "time_entries"
where "seen_at" is not null
    and ("deleted_at" is null or "seen_at" > "deleted_at")
    and ("absent_at" is null or "seen_at" > "absent_at");

-- name: create_time_entry_facts: live entries with names, hours, amount, and the date in the settings' zone
create view "time_entry_facts" as
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
    cast(null as varchar(64)) as "tag_names",
    entry."description",
    entry."billable",
    entry."start",
    entry."stop",
    cast(entry."start" + span."offset_seconds" * interval '1' second as date) as "local_date",
    entry."duration" / 3600e0 as "hours",
    cast(entry."billable_amount_cents" / 100.0 as decimal(18, 2)) as "amount",
    entry."currency"
from "live_time_entries" as entry
    left join "zone_offsets" as span on entry."start" >= span."begin_at" and entry."start" < span."end_at"
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
    left join "tasks" as task on task."id" = entry."task_id";
