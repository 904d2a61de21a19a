-- What is kept beside the streams' tables. Every statement ends with a semicolon; names belong to the current schema.

-- name: create_schema_version: which version of this package's tables this is
create table if not exists schema_version (version bigint not null, applied_at timestamp with time zone not null);

-- name: create_settings: what views ask, such as the zone of local dates
create table if not exists settings ("key" varchar primary key, "value" varchar not null);

-- name: create_sync_state: how far each stream has come, in the transaction of its rows
create table if not exists sync_state (
    stream varchar not null,
    scope varchar not null,
    watermark timestamp with time zone,
    "cursor" varchar not null,
    last_run_at timestamp with time zone not null,
    requests_spent bigint not null,
    primary key (stream, scope)
);

-- name: create_rejected_records: what could not be landed, and why
create table if not exists rejected_records (
    id varchar primary key,
    stream varchar not null,
    workspace_id bigint not null,
    raw varchar not null,
    reason varchar not null,
    observed_at timestamp with time zone not null,
    landed_at timestamp with time zone not null
);

-- name: create_complete_lists: when a stream was last read as a whole, so that late news from before is not believed
create table if not exists complete_lists (
    stream varchar not null,
    workspace_id bigint not null,
    complete_at timestamp with time zone not null,
    primary key (stream, workspace_id)
);

-- name: find_tables: is there anything of ours in the current schema
select count(*) from information_schema.tables
where table_catalog = current_database() and table_schema = current_schema() and table_name = 'schema_version';

-- name: find_version: the version of the tables
select max(version) from schema_version;

-- name: insert_version: a migration was applied
insert into schema_version (version, applied_at) values (?, ?);
