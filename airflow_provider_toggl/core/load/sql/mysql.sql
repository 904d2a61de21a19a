-- What only MySQL and MariaDB understand. They do not take back tables that were made: each statement may come twice.

-- name: find_schema: is there such a database
select count(*) from information_schema.schemata where schema_name = ?;

-- name: find_tables: is there anything of ours in it
select count(*) from information_schema.tables where table_schema = database() and table_name = 'schema_version';

-- name: find_narrow_charsets: character sets of our columns that do not hold every character
select distinct character_set_name from information_schema.columns
where table_schema = database() and character_set_name is not null and character_set_name <> 'utf8mb4';

-- name: take_turn: one landing a schema at a time
select get_lock(?, ?);

-- name: end_turn: let the next one
select release_lock(?);

-- name: create_live_time_entries: entries that exist by the latest that is known
create or replace view "live_time_entries" as
select * from "time_entries"
where "seen_at" is not null
    and ("deleted_at" is null or "seen_at" > "deleted_at")
    and ("absent_at" is null or "seen_at" > "absent_at");

-- name: create_time_entry_facts: live entries with names, hours, amount, and the date in the settings' zone
create or replace view "time_entry_facts" as
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
    coalesce((
        select concat('[', group_concat(coalesce(json_quote(tag."name"), 'null') order by given."place" separator ', '), ']')
        from json_table(entry."tag_ids", '$[*]' columns ("place" for ordinality, "id" bigint path '$')) as given
            left join "tags" as tag on tag."id" = given."id"
    ), '[]') as "tag_names",
    entry."description",
    entry."billable",
    entry."start",
    entry."stop",
    cast(date_add(entry."start", interval span."offset_seconds" second) as date) as "local_date",
    entry."duration" / 3600e0 as "hours",
    cast(entry."billable_amount_cents" / 100.0 as decimal(18, 2)) as "amount",
    entry."currency"
from "live_time_entries" as entry
    left join "zone_offsets" as span on entry."start" >= span."begin_at" and entry."start" < span."end_at"
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
    left join "tasks" as task on task."id" = entry."task_id";
