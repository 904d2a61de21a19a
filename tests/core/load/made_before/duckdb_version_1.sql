-- What version 1 of the tables was made with, in DuckDB. Never changes.
create table if not exists schema_version (version bigint not null, applied_at timestamp with time zone not null);
create table if not exists settings ("key" varchar primary key, "value" varchar not null);
create table if not exists sync_state (
    stream varchar not null,
    scope varchar not null,
    watermark timestamp with time zone,
    "cursor" varchar not null,
    last_run_at timestamp with time zone not null,
    requests_spent bigint not null,
    primary key (stream, scope)
);
create table if not exists rejected_records (
    id varchar primary key,
    stream varchar not null,
    workspace_id bigint not null,
    raw varchar not null,
    reason varchar not null,
    observed_at timestamp with time zone not null,
    landed_at timestamp with time zone not null
);
create table if not exists complete_lists (
    stream varchar not null,
    workspace_id bigint not null,
    complete_at timestamp with time zone not null,
    primary key (stream, workspace_id)
);
create table if not exists "time_entries" ("id" bigint primary key, "workspace_id" bigint not null, "user_id" bigint, "project_id" bigint, "task_id" bigint, "description" varchar, "billable" boolean, "tag_ids" bigint[], "start" timestamp with time zone, "stop" timestamp with time zone, "duration" bigint, "hourly_rate_cents" bigint, "billable_amount_cents" bigint, "currency" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "projects" ("id" bigint primary key, "workspace_id" bigint not null, "client_id" bigint, "name" varchar, "active" boolean, "is_private" boolean, "status" varchar, "color" varchar, "billable" boolean, "template" boolean, "template_id" bigint, "auto_estimates" boolean, "estimated_seconds" bigint, "actual_seconds" bigint, "rate" double, "rate_last_updated" timestamp with time zone, "currency" varchar, "fixed_fee" double, "recurring" boolean, "recurring_parameters" json, "current_period" json, "start_date" date, "end_date" date, "created_at" timestamp with time zone, "external_reference" varchar, "integration_ext_id" varchar, "integration_ext_type" varchar, "integration_provider" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "clients" ("id" bigint primary key, "workspace_id" bigint not null, "name" varchar, "archived" boolean, "notes" varchar, "creator_id" bigint, "external_reference" varchar, "integration_ext_id" varchar, "integration_ext_type" varchar, "integration_provider" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "tags" ("id" bigint primary key, "workspace_id" bigint not null, "name" varchar, "creator_id" bigint, "integration_ext_id" varchar, "integration_ext_type" varchar, "integration_provider" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "tasks" ("id" bigint primary key, "workspace_id" bigint not null, "project_id" bigint, "user_id" bigint, "name" varchar, "active" boolean, "estimated_seconds" bigint, "tracked_seconds" bigint, "recurring" boolean, "rate" double, "rate_last_updated" timestamp with time zone, "external_reference" varchar, "integration_ext_id" varchar, "integration_ext_type" varchar, "integration_provider" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "users" ("id" bigint primary key, "workspace_id" bigint not null, "email" varchar, "fullname" varchar, "inactive" boolean, "is_active" boolean, "is_admin" boolean, "role" varchar, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "project_users" ("id" bigint primary key, "workspace_id" bigint not null, "project_id" bigint, "user_id" bigint, "group_id" bigint, "manager" boolean, "rate" double, "rate_last_updated" timestamp with time zone, "labor_cost" double, "labor_cost_last_updated" timestamp with time zone, "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create table if not exists "groups" ("id" bigint primary key, "workspace_id" bigint not null, "name" varchar, "user_ids" bigint[], "workspace_ids" bigint[], "updated_at" timestamp with time zone, "observed_at" timestamp with time zone not null, "seen_at" timestamp with time zone, "deleted_at" timestamp with time zone, "absent_at" timestamp with time zone);
create or replace view live_time_entries as
select * from time_entries
where seen_at is not null
    and (deleted_at is null or seen_at > deleted_at)
    and (absent_at is null or seen_at > absent_at);
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
