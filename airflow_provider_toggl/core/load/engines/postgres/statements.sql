-- Statements that only PostgreSQL understands.

-- name: lock_schema: one writer a schema at a time; the end of the transaction releases the lock
select pg_advisory_xact_lock(hashtextextended('airflow-provider-toggl ' || ?, 0));

-- name: find_holders: sessions that write to a schema, and for how many seconds
select activity.pid, activity.usename, activity.application_name,
    round(extract(epoch from clock_timestamp() - activity.xact_start))::bigint
from pg_catalog.pg_locks as held
join pg_catalog.pg_stat_activity as activity on activity.pid = held.pid
cross join (select hashtextextended('airflow-provider-toggl ' || ?, 0) as number) as turn
where held.locktype = 'advisory' and held.granted and held.objsubid = 1
    and held.classid::bigint = ((turn.number >> 32) & 4294967295)
    and held.objid::bigint = (turn.number & 4294967295);

-- name: read_clock: the server's time, in seconds since the epoch
select extract(epoch from clock_timestamp())::double precision;

-- name: find_tables: whether the schema has our tables
select count(*) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = ? and c.relname = 'schema_version';

-- name: find_schema: whether there is such a schema
select count(*) from pg_catalog.pg_namespace where nspname = ?;

-- name: find_missing_rights: which rights the role lacks for loading, and on what
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

-- name: check_timezone: fails for a time zone that PostgreSQL does not know
select now() at time zone ?;
