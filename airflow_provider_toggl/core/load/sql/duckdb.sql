-- What only DuckDB understands.

-- name: find_tables: is there anything of ours in the current schema
select count(*) from information_schema.tables
where table_catalog = current_database() and table_schema = current_schema() and table_name = 'schema_version';

-- name: find_schema: is there such a schema
select count(*) from information_schema.schemata
where catalog_name = current_database() and schema_name = ?;

-- name: check_timezone: fails for a zone that DuckDB does not know
select timezone(?, timestamp with time zone '2000-01-01 00:00:00+00');

-- name: create_live_time_entries: entries that exist by the latest that is known
create or replace view live_time_entries as
select * from time_entries
where seen_at is not null
    and (deleted_at is null or seen_at > deleted_at)
    and (absent_at is null or seen_at > absent_at);

-- name: create_time_entry_facts: live entries with names, hours, amount, and the date in the settings' zone
create or replace view time_entry_facts as
select
    entry.id as time_entry_id,
    entry.workspace_id,
    entry.user_id,
    person.fullname as user_name,
    project.client_id,
    client.name as client_name,
    entry.project_id,
    project.name as project_name,
    entry.task_id,
    task.name as task_name,
    entry.tag_ids,
    list_transform(entry.tag_ids, lambda tag_id: map_extract_value(tag.names, tag_id)) as tag_names,
    entry.description,
    entry.billable,
    entry."start",
    entry."stop",
    cast(timezone(zone."value", entry."start") as date) as local_date,
    entry.duration / 3600.0 as hours,
    cast(entry.billable_amount_cents / 100.0 as decimal(18, 2)) as amount,
    entry.currency
from live_time_entries as entry
    cross join (select coalesce(max("value"), 'UTC') as "value" from settings where "key" = 'timezone') as zone
    cross join (select map(list(id), list(name)) as names from tags) as tag
    left join users as person on person.id = entry.user_id
    left join projects as project on project.id = entry.project_id
    left join clients as client on client.id = project.client_id
    left join tasks as task on task.id = entry.task_id;
