-- What only the event store in SQLite has: parts of statements, appending, and the tables.

-- name: part_event_type: what deliveries of a connection are about, as events_kind indexes it
conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '');

-- name: part_by_event_type
indexed by events_kind;

-- name: part_by_event_id
indexed by events_event_id;

-- name: part_by_entity_id
indexed by events_entity_id;

-- name: part_byte_order: texts are compared by their bytes anyway
;

-- name: part_for_update: one transaction writes at a time anyway
;

-- name: part_last_seq
coalesce((select max(seq) from sqlite_sequence where name = 'events'), 0);

-- name: part_in_seqs
in (select value from json_each(:seqs));

-- name: part_body_size
length(body);

-- name: insert_events: the last line is repeated for each further row
insert into events (
    event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
) values
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_seqs: of an array of keys, those that are known
select event_key, seq from events where event_key in (select value from json_each(:keys));

-- name: seqs_of_event_type: reads the index alone
select seq
from (select seq, {event_type} as event_type from events {by_event_type})
where event_type = :key and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: seqs_of_anomalies
select seq from events indexed by events_odd
where conn_id = :conn_id and oddity is not null and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: newest_of_event_type
select entity, received_at
from (select seq, entity, received_at, {event_type} as event_type from events {by_event_type})
where event_type = :key order by seq desc limit 1;

-- name: migrate_1_schema_version
create table schema_version (
    version integer primary key,
    applied_at integer not null
);

-- name: migrate_1_events: autoincrement, so that a number is never given twice, whatever is removed
create table events (
    seq integer primary key autoincrement,
    event_key text not null unique,
    subscription_id text not null,
    event_id text not null,
    conn_id text not null,
    workspace_id integer,
    entity text,
    "action" text,
    entity_id integer,
    created_at integer,
    received_at integer not null,
    oddity text,
    body_crc32 integer not null,
    body blob not null
);

-- name: migrate_1_events_by_time: for look-back and retention
create index events_received_at on events (received_at);

-- name: migrate_1_handshakes
create table handshakes (
    subscription_key text primary key,
    conn_id text not null,
    validation_code blob not null,
    received_at integer not null
);

-- name: migrate_1_consumers
create table consumers (
    name text primary key,
    seq integer not null,
    updated_at integer not null
);

-- name: migrate_2_marks: small notes that programs leave each other
create table marks (
    name text primary key,
    value text not null,
    made_at integer not null
);

-- name: migrate_2_notes: small JSON objects for people who look
create table notes (
    name text primary key,
    value text not null,
    noted_at integer not null
);

-- name: migrate_2_refusals: the newest refused deliveries, without their bodies
create table refusals (
    id integer primary key autoincrement,
    conn_id text not null,
    outcome text not null,
    reason text not null,
    times integer not null,
    seq integer,
    size integer,
    first_at integer not null,
    last_at integer not null
);

-- name: migrate_2_series: numbers over time, one a minute or an hour
create table series (
    name text not null,
    bucket integer not null,
    at integer not null,
    value real not null,
    primary key (name, bucket)
);

-- name: migrate_3_events_by_kind: what a connection's deliveries are about; each list of them is one way through it
create index events_kind on events (conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", ''));

-- name: migrate_3_events_by_event_id
create index events_event_id on events (event_id);

-- name: migrate_3_events_by_entity_id
create index events_entity_id on events (entity_id) where entity_id is not null;

-- name: migrate_3_odd_events: few
create index events_odd on events (conn_id) where oddity is not null;

-- name: migrate_3_refusal_entity: of an event that could not be loaded; kept when the event is removed
alter table refusals add column entity text;

-- name: migrate_3_refusal_action
alter table refusals add column "action" text;

-- name: migrate_3_refusal_entity_id
alter table refusals add column entity_id integer;

-- name: migrate_3_refusal_event_id
alter table refusals add column event_id text;

-- name: migrate_4_status: one table of what programs record under a name, as JSON
create table status (
    name text primary key,
    value text not null,
    recorded_at integer not null
);

-- name: migrate_4_status_of_notes
insert into status (name, value, recorded_at) select name, value, noted_at from notes;

-- name: migrate_4_status_of_marks
insert or ignore into status (name, value, recorded_at) select name, json_quote(value), made_at from marks;

-- name: migrate_4_notes
drop table notes;

-- name: migrate_4_marks
drop table marks;
