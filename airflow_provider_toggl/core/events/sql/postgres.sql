-- The event store in PostgreSQL; {schema} is its schema. Instants are microseconds since 1970, as in every engine; ids
-- that may exceed 64 bits are texts.

-- name: find_tables: whether the schema is there, and whether its first table
select to_regnamespace(%s) is not null, to_regclass(%s) is not null;

-- name: find_version
select version from {schema}.schema_version order by version desc limit 1;

-- name: lock_for_migration: until the end of the transaction
select pg_advisory_xact_lock(hashtextextended(%s, 0));

-- name: allow_long_statements
set local statement_timeout = 0;

-- name: create_schema
create schema {schema};

-- name: insert_version
insert into {schema}.schema_version (version, applied_at) values (%s, %s);

-- name: migrate_1_schema_version
create table {schema}.schema_version (
    version integer primary key,
    applied_at bigint not null
);

-- name: migrate_1_events
create table {schema}.events (
    seq bigint primary key,
    event_key text not null unique,
    subscription_id text not null,
    event_id text not null,
    conn_id text not null,
    workspace_id bigint,
    entity text,
    "action" text,
    entity_id bigint,
    created_at bigint,
    received_at bigint not null,
    oddity text,
    body_crc32 bigint not null,
    body bytea not null
);

-- name: migrate_1_events_by_time: for look-back and retention
create index events_received_at on {schema}.events (received_at);

-- name: migrate_1_counter: one row: the greatest seq that was ever given; room for new versions of it on its page
create table {schema}.counter (
    id integer primary key check (id = 1),
    last_seq bigint not null
) with (fillfactor = 10);

-- name: migrate_1_counter_row
insert into {schema}.counter (id, last_seq) values (1, 0);

-- name: migrate_1_handshakes
create table {schema}.handshakes (
    subscription_key text primary key,
    conn_id text not null,
    validation_code bytea not null,
    received_at bigint not null
);

-- name: migrate_1_consumers
create table {schema}.consumers (
    name text collate "C" primary key,
    seq bigint not null,
    updated_at bigint not null
);

-- name: migrate_1_append: in the server, so that one statement is one transaction and one way there and back; a row at a
-- time, because a plan for all rows at once was several times slower when the statistics of a growing table were old
create function {schema}.append_events(events json, bodies bytea)
returns table (seq bigint, duplicate boolean)
language plpgsql as $$
declare
    event record;
    known_last bigint;
    drawn bigint;
begin
    -- Nobody else draws numbers before this transaction is visible; what the next statements see is what was
    -- committed before they begin.
    select last_seq into known_last from {schema}.counter for update;
    drawn := known_last;
    for event in
        select * from json_to_recordset(events) as row (
            event_key text, subscription_id text, event_id text, conn_id text, workspace_id bigint, entity text,
            "action" text, entity_id bigint, created_at bigint, received_at bigint, oddity text, body_crc32 bigint,
            body_start integer, body_length integer
        )
    loop
        insert into {schema}.events (
            seq, event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at,
            received_at, oddity, body_crc32, body
        ) values (
            drawn + 1, event.event_key, event.subscription_id, event.event_id, event.conn_id, event.workspace_id,
            event.entity, event."action", event.entity_id, event.created_at, event.received_at, event.oddity,
            event.body_crc32, substring(bodies from event.body_start for event.body_length)
        ) on conflict (event_key) do nothing;
        duplicate := not found;
        if duplicate then
            select known.seq into seq from {schema}.events as known where known.event_key = event.event_key;
        else
            drawn := drawn + 1;
            seq := drawn;
        end if;
        return next;
    end loop;
    if drawn > known_last then
        update {schema}.counter set last_seq = drawn;
        perform pg_notify({channel_text}, drawn::text);
    end if;
end
$$;

-- name: migrate_2_marks: small notes that programs leave each other
create table {schema}.marks (
    name text collate "C" primary key,
    value text not null,
    made_at bigint not null
);

-- name: migrate_2_notes: small JSON objects for people who look
create table {schema}.notes (
    name text collate "C" primary key,
    value text not null,
    noted_at bigint not null
);

-- name: migrate_2_refusals: the newest refused deliveries, without their bodies
create table {schema}.refusals (
    id bigint generated always as identity primary key,
    conn_id text not null,
    outcome text not null,
    reason text not null,
    times integer not null,
    seq bigint,
    size bigint,
    first_at bigint not null,
    last_at bigint not null
);

-- name: migrate_2_series: numbers over time, one a minute or an hour
create table {schema}.series (
    name text collate "C" not null,
    bucket bigint not null,
    at bigint not null,
    value double precision not null,
    primary key (name, bucket)
);

-- name: migrate_3_events_by_kind: what a connection's deliveries are about; each list of them is one way through it
create index events_kind on {schema}.events (
    ((conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '')) collate "C"), seq
);

-- name: migrate_3_events_by_event_id
create index events_event_id on {schema}.events (event_id, seq);

-- name: migrate_3_events_by_entity_id
create index events_entity_id on {schema}.events (entity_id, seq) where entity_id is not null;

-- name: migrate_3_odd_events: few
create index events_odd on {schema}.events (conn_id, seq) where oddity is not null;

-- name: migrate_3_places_by_time: what a list asks of it is in the index then
create index events_place_at on {schema}.events (received_at, seq);

-- name: migrate_3_events_by_time
drop index {schema}.events_received_at;

-- name: migrate_3_refusal_event: of what was stored and could not be landed; it outlives the event
alter table {schema}.refusals
    add column entity text, add column "action" text, add column entity_id bigint, add column event_id text;

-- name: append_events: bodies one after the other, so that no byte of them has to be written as text
select seq, duplicate from {schema}.append_events(%s::json, %b::bytea);

-- name: read_events
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
from {schema}.events where seq > %s order by seq limit %s;

-- name: find_event
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
from {schema}.events where seq = %s;

-- name: last_seq
select last_seq from {schema}.counter;

-- name: has_after
select exists(select 1 from {schema}.events where seq > %s);

-- name: count_events
select count(*) from {schema}.events;

-- name: seq_before: the place before the first of that time or later, or the last one where there is none
select coalesce(
    (select min(seq) - 1 from {schema}.events where received_at >= %s),
    (select last_seq from {schema}.counter)
);

-- name: keep_handshake
insert into {schema}.handshakes (subscription_key, conn_id, validation_code, received_at) values (%s, %s, %s, %s)
on conflict (subscription_key) do update set
    conn_id = excluded.conn_id, validation_code = excluded.validation_code, received_at = excluded.received_at;

-- name: find_handshake
select conn_id, validation_code, received_at from {schema}.handshakes where subscription_key = %s;

-- name: keep_mark
insert into {schema}.marks (name, value, made_at) values (%s, %s, %s)
on conflict (name) do update set value = excluded.value, made_at = excluded.made_at;

-- name: find_mark
select name, value, made_at from {schema}.marks where name = %s;

-- name: inspect_server: its time, and what could lose acknowledged events
select
    (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    current_setting('fsync'),
    current_setting('full_page_writes'),
    pg_is_in_recovery(),
    (select relpersistence::text from pg_catalog.pg_class where oid = to_regclass(%s));

-- name: find_consumer
select name, seq, updated_at from {schema}.consumers where name = %s;

-- name: list_consumers
select name, seq, updated_at from {schema}.consumers order by name;

-- name: move_consumer: never back
insert into {schema}.consumers as known (name, seq, updated_at) values (%s, %s, %s)
on conflict (name) do update set seq = greatest(known.seq, excluded.seq), updated_at = excluded.updated_at
returning name, seq, updated_at;

-- name: remove_consumer
delete from {schema}.consumers where name = %s;

-- name: prune_events: what is older and was read by every named reader, the oldest first
delete from {schema}.events where seq in (
    select seq from {schema}.events
    where received_at < %s and seq <= coalesce((select min(seq) from {schema}.consumers), 9223372036854775807)
    order by seq limit %s
);

-- name: listen
listen {channel};

-- name: list_deliveries: those of some places that are wanted, without bodies
select seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, octet_length(body)
from {schema}.events
where seq = any(%(seqs)s::bigint[])
    and conn_id = %(conn_id)s
    and (%(entity)s::text is null or entity = %(entity)s)
    and (%(action)s::text is null or "action" = %(action)s)
    and (%(received_from)s::bigint is null or received_at >= %(received_from)s)
    and (%(received_until)s::bigint is null or received_at < %(received_until)s)
    and (not %(odd)s::boolean or oddity is not null)
order by seq desc;

-- name: list_kinds: of a connection, from one to the next by the index, however many events each has
with recursive known (kind) as (
    select %(first)s::text collate "C"
    union all
    select (
        select one.kind
        from (select ((conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '')) collate "C") as kind from {schema}.events) as one
        where one.kind > known.kind and one.kind < %(last)s::text
        order by one.kind limit 1
    ) from known where known.kind is not null
)
select kind from known where kind > %(first)s::text;

-- name: places_of_kinds: the index alone is read; rows are compared so that no plan goes through the primary key instead,
-- which takes long to come upon a rare kind
select one.seq
from unnest(%(kinds)s::text[]) as wanted (kind)
cross join lateral (
    select each.seq
    from (select seq, ((conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '')) collate "C") as kind from {schema}.events) as each
    where (each.kind, each.seq) < (wanted.kind, %(before)s::bigint)
        and (each.kind, each.seq) > (wanted.kind, %(above)s::bigint)
    order by each.kind desc, each.seq desc limit %(limit)s
) as one
order by one.seq desc limit %(limit)s;

-- name: places_of_number: of an event, or of what changed
(
    select seq from {schema}.events
    where event_id = %(number_text)s and seq < %(before)s and seq > %(above)s
    order by seq desc limit %(limit)s
) union (
    select seq from {schema}.events
    where entity_id = %(number)s::bigint and seq < %(before)s and seq > %(above)s
    order by seq desc limit %(limit)s
)
order by seq desc limit %(limit)s;

-- name: places_of_odd
select seq from {schema}.events
where oddity is not null
    and (conn_id, seq) < (%(conn_id)s::text, %(before)s::bigint)
    and (conn_id, seq) > (%(conn_id)s::text, %(above)s::bigint)
order by conn_id desc, seq desc limit %(limit)s;

-- name: place_from: the lowest of the first ones, by time, of that time or later; the index alone is read
select min(seq) from (select seq from {schema}.events where received_at >= %s order by received_at limit %s) as first;

-- name: place_before: the greatest of the last ones, by time, before that time; the index alone is read
select max(seq) from (select seq from {schema}.events where received_at < %s order by received_at desc limit %s) as last;

-- name: newest_of_kinds: entity and time of the newest event of each
select one.entity, one.received_at
from unnest(%s::text[]) as wanted (kind)
cross join lateral (
    select each.entity, each.received_at
    from (select seq, entity, received_at, ((conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '')) collate "C") as kind from {schema}.events) as each
    where (each.kind, each.seq) > (wanted.kind, 0) and (each.kind, each.seq) < (wanted.kind, 9223372036854775807)
    order by each.kind desc, each.seq desc limit 1
) as one;

-- name: first_seq: the lowest that is kept
select coalesce(min(seq), 0) from {schema}.events;

-- name: keep_note
insert into {schema}.notes (name, value, noted_at) values (%s, %s, %s)
on conflict (name) do update set value = excluded.value, noted_at = excluded.noted_at;

-- name: list_notes
select name, value, noted_at from {schema}.notes where name >= %s and name < %s order by name;

-- name: take_note
delete from {schema}.notes where name = %s returning name, value, noted_at;

-- name: insert_refusal
insert into {schema}.refusals
    (conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s);

-- name: prune_refusals: all but the newest so many
delete from {schema}.refusals where id <= (select max(id) from {schema}.refusals) - %s;

-- name: list_refusals
select id, conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at
from {schema}.refusals
where id < %(before)s and conn_id = %(conn_id)s
    and (%(rejected)s::boolean is null or (seq is not null) = %(rejected)s)
    and (%(lowest)s::bigint is null or seq >= %(lowest)s)
    and (%(highest)s::bigint is null or seq <= %(highest)s)
    and (%(entity)s::text is null or entity = %(entity)s)
    and (%(action)s::text is null or "action" = %(action)s)
    and (%(number_text)s::text is null or event_id = %(number_text)s or entity_id = %(number)s::bigint)
    and (%(from)s::bigint is null or last_at >= %(from)s)
    and (%(until)s::bigint is null or first_at < %(until)s)
order by id desc limit %(limit)s;

-- name: set_sample: the last one of a minute stays
insert into {schema}.series (name, bucket, at, value) values (%s, %s, %s, %s)
on conflict (name, bucket) do update set at = excluded.at, value = excluded.value;

-- name: add_sample: the sum of an hour
insert into {schema}.series as known (name, bucket, at, value) values (%s, %s, %s, %s)
on conflict (name, bucket) do update set at = excluded.at, value = known.value + excluded.value;

-- name: prune_series: of one name what is older
delete from {schema}.series where name = %s and bucket < %s;

-- name: list_samples
select name, at, value from {schema}.series where name >= %s and name < %s and at >= %s order by name, bucket;

-- name: last_below: of a number that only grows
select name, at, value from {schema}.series where name = %s and value < %s order by bucket desc limit 1;

-- name: first_reached: of a number that only grows
select name, at, value from {schema}.series where name = %s and value >= %s order by bucket limit 1;
