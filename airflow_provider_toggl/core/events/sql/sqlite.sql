-- The event store in SQLite. Instants are microseconds since 1970, ids that may exceed 64 bits are texts.

-- name: find_version: 0 rows where nothing was made yet
select version from schema_version order by version desc limit 1;

-- name: is_of_others: tables without ours; asked in one statement, since another process may just be making ours
select exists(select 1 from sqlite_master where type = 'table')
    and not exists(select 1 from sqlite_master where name = 'schema_version');

-- name: insert_version
insert into schema_version (version, applied_at) values (?, ?);

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

-- name: insert_events: the last line is repeated for each row more
insert into events (
    event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
) values
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: find_seqs: of an array of keys, those that are known
select event_key, seq from events where event_key in (select value from json_each(?));

-- name: read_events
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
from events where seq > ? order by seq limit ?;

-- name: find_event
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
from events where seq = ?;

-- name: last_seq: the greatest that was ever given
select coalesce(max(seq), 0) from sqlite_sequence where name = 'events';

-- name: has_after
select exists(select 1 from events where seq > ?);

-- name: count_events
select count(*) from events;

-- name: seq_before: the place before the first of that time or later, or the last one where there is none
select coalesce(
    (select min(seq) - 1 from events where received_at >= ?),
    (select max(seq) from sqlite_sequence where name = 'events'),
    0
);

-- name: keep_handshake
insert into handshakes (subscription_key, conn_id, validation_code, received_at) values (?, ?, ?, ?)
on conflict (subscription_key) do update set
    conn_id = excluded.conn_id, validation_code = excluded.validation_code, received_at = excluded.received_at;

-- name: find_handshake
select conn_id, validation_code, received_at from handshakes where subscription_key = ?;

-- name: keep_mark
insert into marks (name, value, made_at) values (?, ?, ?)
on conflict (name) do update set value = excluded.value, made_at = excluded.made_at;

-- name: find_mark
select name, value, made_at from marks where name = ?;

-- name: find_consumer
select name, seq, updated_at from consumers where name = ?;

-- name: list_consumers
select name, seq, updated_at from consumers order by name;

-- name: move_consumer: never back
insert into consumers (name, seq, updated_at) values (?, ?, ?)
on conflict (name) do update set seq = max(seq, excluded.seq), updated_at = excluded.updated_at;

-- name: remove_consumer
delete from consumers where name = ?;

-- name: prune_events: what is older and was read by every named reader, the oldest first
delete from events where seq in (
    select seq from events
    where received_at < ? and seq <= coalesce((select min(seq) from consumers), 9223372036854775807)
    order by seq limit ?
);
