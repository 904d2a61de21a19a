-- The event store in SQLite. Instants are microseconds since 1970, ids that may exceed 64 bits are texts.

-- name: find_version: 0 rows where nothing was made yet; and whether it is of ours, for a warehouse has versions too
select version, exists(select 1 from sqlite_master where name = 'events') from schema_version
    order by version desc limit 1;

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

-- name: migrate_3_refusal_entity: of what was stored and could not be landed; it outlives the event
alter table refusals add column entity text;

-- name: migrate_3_refusal_action
alter table refusals add column "action" text;

-- name: migrate_3_refusal_entity_id
alter table refusals add column entity_id integer;

-- name: migrate_3_refusal_event_id
alter table refusals add column event_id text;

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

-- name: read_earlier: of one entity, the latest by Toggl's clock
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
from events indexed by events_entity_id
where entity_id = :entity_id and seq < :before and entity is :entity
    and (workspace_id = :workspace_id or workspace_id is null or :workspace_id is null)
order by coalesce(created_at, received_at) desc, seq desc limit :limit;

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

-- name: prune_events: what is older and was read by every named reader, the oldest first; events of an entity stay while
-- a reader has not read a later one of it, which is compared with them
delete from events where seq in (
    select seq from events as old
    where received_at < ? and seq <= coalesce((select min(seq) from consumers), 9223372036854775807)
        and not exists (
            select 1 from events as later indexed by events_entity_id
            where later.entity_id = old.entity_id and later.seq > (select min(seq) from consumers)
                and later.entity is old.entity
        )
    order by seq limit ?
);

-- name: list_deliveries: those of some places that are wanted, without bodies
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, length(body)
from events
where seq in (select value from json_each(:seqs))
    and conn_id = :conn_id
    and (:entity is null or entity = :entity)
    and (:action is null or "action" = :action)
    and (:received_from is null or received_at >= :received_from)
    and (:received_until is null or received_at < :received_until)
    and (not :odd or oddity is not null)
order by seq desc;

-- name: list_kinds: of a connection, from one to the next by the index, however many events each has
with recursive known (kind) as (
    select :first
    union all
    select (
        select one.kind
        from (select conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '') as kind from events indexed by events_kind) as one
        where one.kind > known.kind and one.kind < :last
        order by one.kind limit 1
    ) from known where known.kind is not null
)
select kind from known where kind > :first;

-- name: places_of_kind: the index alone is read
select seq
from (select seq, conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '') as kind from events indexed by events_kind)
where kind = :kind and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: places_of_event
select seq from events indexed by events_event_id
where event_id = :number_text and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: places_of_entity
select seq from events indexed by events_entity_id
where entity_id = :number and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: places_of_odd
select seq from events indexed by events_odd
where conn_id = :conn_id and oddity is not null and seq < :before and seq > :above
order by seq desc limit :limit;

-- name: place_from: the lowest of the first ones, by time, of that time or later; the index alone is read
select min(seq) from (select seq from events where received_at >= ? order by received_at limit ?);

-- name: place_before: the greatest of the last ones, by time, before that time; the index alone is read
select max(seq) from (select seq from events where received_at < ? order by received_at desc limit ?);

-- name: newest_of_kind
select entity, received_at
from (select seq, entity, received_at, conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '') as kind from events indexed by events_kind)
where kind = ? order by seq desc limit 1;

-- name: first_seq: the lowest that is kept
select coalesce(min(seq), 0) from events;

-- name: keep_note
insert into notes (name, value, noted_at) values (?, ?, ?)
on conflict (name) do update set value = excluded.value, noted_at = excluded.noted_at;

-- name: list_notes
select name, value, noted_at from notes where name >= ? and name < ? order by name;

-- name: find_note
select name, value, noted_at from notes where name = ?;

-- name: remove_note
delete from notes where name = ?;

-- name: insert_refusal
insert into refusals
    (conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: prune_refusals: all but the newest so many
delete from refusals where id <= (select max(id) from refusals) - ?;

-- name: list_refusals
select id, conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at
from refusals
where id < :before and conn_id = :conn_id and (:rejected is null or (seq is not null) = :rejected)
    and (:lowest is null or seq >= :lowest)
    and (:highest is null or seq <= :highest)
    and (:entity is null or entity = :entity)
    and (:action is null or "action" = :action)
    and (:number_text is null or event_id = :number_text or entity_id = :number)
    and (:from is null or last_at >= :from)
    and (:until is null or first_at < :until)
order by id desc limit :limit;

-- name: set_sample: the last one of a minute stays
insert into series (name, bucket, at, value) values (?, ?, ?, ?)
on conflict (name, bucket) do update set at = excluded.at, value = excluded.value;

-- name: add_sample: the sum of an hour
insert into series as known (name, bucket, at, value) values (?, ?, ?, ?)
on conflict (name, bucket) do update set at = excluded.at, value = known.value + excluded.value;

-- name: prune_series: of one name what is older
delete from series where name = ? and bucket < ?;

-- name: list_samples
select name, at, value from series where name >= ? and name < ? and at >= ? order by name, bucket;

-- name: last_below: of a number that only grows
select name, at, value from series where name = ? and value < ? order by bucket desc limit 1;

-- name: first_reached: of a number that only grows
select name, at, value from series where name = ? and value >= ? order by bucket limit 1;
