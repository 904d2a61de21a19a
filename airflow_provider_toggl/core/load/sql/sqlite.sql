-- What only SQLite understands.

-- name: find_tables: is there anything of ours in the file
select count(*) from sqlite_master where "name" = 'schema_version';

-- name: find_event_store: whether the file is one of received events, by a table that only those have
select count(*) from sqlite_master where "type" = 'table' and "name" = 'handshakes';

-- name: create_live_time_entries: entries that exist by the latest that is known
create view if not exists "live_time_entries" as
select * from "time_entries"
where "seen_at" is not null
    and ("deleted_at" is null or "seen_at" > "deleted_at")
    and ("absent_at" is null or "seen_at" > "absent_at");

-- name: create_time_entry_facts: live entries with names, hours, amount, and the date in the settings' zone
create view if not exists "time_entry_facts" as
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
    (
        select json_group_array(named."name")
        from (
            select tag."name"
            from json_each(entry."tag_ids") as given left join "tags" as tag on tag."id" = given."value"
            order by given."key"
        ) as named
    ) as "tag_names",
    entry."description",
    entry."billable",
    entry."start",
    entry."stop",
    date(substr(entry."start", 1, 19), span."offset_seconds" || ' seconds') as "local_date",
    entry."duration" / 3600e0 as "hours",
    round(entry."billable_amount_cents" / 100.0, 2) as "amount",
    entry."currency"
from "live_time_entries" as entry
    left join "zone_offsets" as span on entry."start" >= span."begin_at" and entry."start" < span."end_at"
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
    left join "tasks" as task on task."id" = entry."task_id";
