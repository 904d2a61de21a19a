-- The tables beside the streams' tables; names in braces are types.

-- name: create_schema_version: the version of the tables
create table if not exists "schema_version" ("version" {bigint} not null, "applied_at" {timestamp} not null);

-- name: create_settings: settings, such as the zone of local dates
create table if not exists "settings" ("key" {word} not null primary key, "value" {text} not null);

-- name: create_sync_state: how far each stream is loaded, stored in the transaction of its rows
create table if not exists "sync_state" (
    "stream" {word} not null,
    "scope" {key} not null,
    "watermark" {timestamp},
    "cursor" {text} not null,
    "last_run_at" {timestamp} not null,
    "requests_spent" {bigint} not null,
    primary key ("stream", "scope")
);

-- name: create_rejected_records: what could not be loaded, and why
create table if not exists "rejected_records" (
    "id" {word} not null primary key,
    "stream" {word} not null,
    "workspace_id" {bigint} not null,
    "raw" {text} not null,
    "reason" {text} not null,
    "observed_at" {timestamp} not null,
    "landed_at" {timestamp} not null
);

-- name: create_complete_lists: when a stream was last listed completely, so that late observations from before do not undo it
create table if not exists "complete_lists" (
    "stream" {word} not null,
    "workspace_id" {bigint} not null,
    "complete_at" {timestamp} not null,
    primary key ("stream", "workspace_id")
);

-- name: create_zone_offsets: how far local time is ahead of UTC, for engines without time zones
create table if not exists "zone_offsets" (
    "begin_at" {timestamp} not null,
    "end_at" {timestamp} not null,
    "offset_seconds" {bigint} not null
);
