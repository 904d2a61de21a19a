-- What only the event store in PostgreSQL has: parts of statements, appending, and the tables.

-- name: part_event_type: what deliveries of a connection are about, as events_kind indexes it
conn_id || ' ' || coalesce(entity, '') || ' ' || coalesce("action", '');

-- name: part_by_event_type: PostgreSQL chooses its indexes itself
;

-- name: part_by_event_id
;

-- name: part_by_entity_id
;

-- name: part_byte_order: whatever the database's own order is
collate "C";

-- name: part_for_update
for update;

-- name: part_last_seq
(select last_seq from {schema}.counter);

-- name: part_in_seqs
= any(:seqs::bigint[]);

-- name: part_body_size
octet_length(body);

-- name: append_events: bodies one after the other, so that no byte of them has to be written as text
select seq, duplicate from {schema}.append_events(:events::json, %(bodies)b::bytea);

-- name: listen
listen {channel};

-- name: seqs_of_event_type: reads the index alone; rows are compared so that no plan uses the primary key instead, which
-- takes long to reach a rare event type
select one.seq
from unnest(:keys::text[]) as wanted (event_type)
cross join lateral (
    select each.seq
    from (select seq, ({event_type}) {byte_order} as event_type from {schema}.events) as each
    where (each.event_type, each.seq) < (wanted.event_type, :before::bigint)
        and (each.event_type, each.seq) > (wanted.event_type, :above::bigint)
    order by each.event_type desc, each.seq desc limit :limit
) as one
order by one.seq desc limit :limit;

-- name: seqs_of_anomalies
select seq from {schema}.events
where oddity is not null
    and (conn_id, seq) < (:conn_id::text, :before::bigint)
    and (conn_id, seq) > (:conn_id::text, :above::bigint)
order by conn_id desc, seq desc limit :limit;

-- name: newest_of_event_type: entity and time of the newest event of each
select one.entity, one.received_at
from unnest(:keys::text[]) as wanted (event_type)
cross join lateral (
    select each.entity, each.received_at
    from (select seq, entity, received_at, ({event_type}) {byte_order} as event_type from {schema}.events) as each
    where (each.event_type, each.seq) > (wanted.event_type, 0)
        and (each.event_type, each.seq) < (wanted.event_type, 9223372036854775807)
    order by each.event_type desc, each.seq desc limit 1
) as one;

-- name: inspect_server: its time, and what could lose acknowledged events
select
    (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    current_setting('fsync'),
    current_setting('full_page_writes'),
    pg_is_in_recovery(),
    (select relpersistence::text from pg_catalog.pg_class where oid = to_regclass(:events_table));

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

-- name: migrate_3_refusal_event: of an event that could not be loaded; kept when the event is removed
alter table {schema}.refusals
    add column entity text, add column "action" text, add column entity_id bigint, add column event_id text;

-- name: migrate_4_status: one table of what programs record under a name, as JSON
create table {schema}.status (
    name text collate "C" primary key,
    value text not null,
    recorded_at bigint not null
);

-- name: migrate_4_status_of_notes
insert into {schema}.status (name, value, recorded_at) select name, value, noted_at from {schema}.notes;

-- name: migrate_4_status_of_marks
insert into {schema}.status (name, value, recorded_at) select name, to_json(value)::text, made_at from {schema}.marks
on conflict (name) do nothing;

-- name: migrate_4_notes
drop table {schema}.notes;

-- name: migrate_4_marks
drop table {schema}.marks;
