-- What only PostgreSQL understands.

-- name: take_turn: one landing a schema at a time; the transaction's end gives it back
select pg_advisory_xact_lock(hashtextextended('airflow-provider-toggl ' || ?, 0));

-- name: find_turn_holders: sessions that have the turn of a schema, and for how many seconds
select activity.pid, activity.usename, activity.application_name,
    round(extract(epoch from clock_timestamp() - activity.xact_start))::bigint
from pg_catalog.pg_locks as held
join pg_catalog.pg_stat_activity as activity on activity.pid = held.pid
cross join (select hashtextextended('airflow-provider-toggl ' || ?, 0) as number) as turn
where held.locktype = 'advisory' and held.granted and held.objsubid = 1
    and held.classid::bigint = ((turn.number >> 32) & 4294967295)
    and held.objid::bigint = (turn.number & 4294967295);

-- name: read_clock: the server's, in seconds since the epoch
select extract(epoch from clock_timestamp())::double precision;

-- name: find_tables: is there anything of ours in the schema
select count(*) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = ? and c.relname = 'schema_version';

-- name: find_schema: is there such a schema
select count(*) from pg_catalog.pg_namespace where nspname = ?;

-- name: find_missing_rights: which rights the role lacks that landing needs, and on what
with schema as (select oid, nspname from pg_catalog.pg_namespace where nspname = ?),
needed ("right", "object", "is_there") as (
    select 'TEMPORARY', format('database %I', current_database()),
        has_database_privilege(current_database(), 'TEMPORARY')
    union all
    select 'CREATE', format('database %I', current_database()), has_database_privilege(current_database(), 'CREATE')
    where not exists (select 1 from schema)
    union all
    select wanted."right", format('schema %I', nspname), has_schema_privilege(oid, wanted."right")
    from schema cross join (values ('USAGE'), ('CREATE')) as wanted ("right")
    -- Where the tables are there, nothing is created.
    where wanted."right" = 'USAGE' or not exists (
        select 1 from pg_catalog.pg_class where relnamespace = schema.oid and relname = 'schema_version'
    )
    union all
    select wanted."right", format('table %I.%I', nspname, relname), has_table_privilege(relation.oid, wanted."right")
    from schema join pg_catalog.pg_class as relation on relation.relnamespace = schema.oid
        cross join (values ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) as wanted ("right")
    where relation.relkind in ('r', 'p') or (relation.relkind = 'v' and wanted."right" = 'SELECT')
)
select "right", "object" from needed where not "is_there";

-- name: check_timezone: fails for a zone that PostgreSQL does not know
select now() at time zone ?;

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
    array(
        select tag."name"
        from unnest(entry."tag_ids") with ordinality as given ("id", "place")
            left join "tags" as tag on tag."id" = given."id"
        order by given."place"
    ) as "tag_names",
    entry."description",
    entry."billable",
    entry."start",
    entry."stop",
    cast(entry."start" at time zone zone."value" as date) as "local_date",
    cast(entry."duration" / 3600.0 as double precision) as "hours",
    cast(entry."billable_amount_cents" / 100.0 as decimal(18, 2)) as "amount",
    entry."currency"
from "live_time_entries" as entry
    cross join (select coalesce(max("value"), 'UTC') as "value" from "settings" where "key" = 'timezone') as zone
    left join "users" as person on person."id" = entry."user_id"
    left join "projects" as project on project."id" = entry."project_id"
    left join "clients" as client on client."id" = project."client_id"
    left join "tasks" as task on task."id" = entry."task_id";
