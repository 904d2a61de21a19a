-- The event store, the same in both engines. Instants are microseconds since 1970; ids that may exceed 64 bits are texts.
-- In {braces} is the schema, or what the engine's own file has as part_...

-- name: part_columns: of an event, without its body
seq, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity;

-- name: read_events
select {columns}, body_crc32, body
from {schema}.events where seq > :after order by seq limit :limit;

-- name: find_event
select {columns}, body_crc32, body
from {schema}.events where seq = :seq;

-- name: read_earlier: of one entity, the latest by Toggl's clock
select {columns}, body_crc32, body
from {schema}.events {by_entity_id}
where entity_id = cast(:entity_id as bigint) and seq < :before and coalesce(entity, '') = coalesce(:entity, '')
    and (workspace_id = cast(:workspace_id as bigint) or workspace_id is null or cast(:workspace_id as bigint) is null)
order by coalesce(created_at, received_at) desc, seq desc limit :limit;

-- name: last_seq: the greatest that was ever given
select {last_seq};

-- name: first_seq: the lowest that is kept
select coalesce(min(seq), 0) from {schema}.events;

-- name: has_after
select exists(select 1 from {schema}.events where seq > :after);

-- name: count_events
select count(*) from {schema}.events;

-- name: seq_before: the number before the first of that time or later, or the last one where there is none
select coalesce((select min(seq) - 1 from {schema}.events where received_at >= :moment), {last_seq});

-- name: first_seq_since: the lowest of the first ones, by time, of that time or later; reads the index alone
select min(seq) from (
    select seq from {schema}.events where received_at >= :moment order by received_at limit :limit
) as earliest;

-- name: last_seq_before: the greatest of the last ones, by time, before that time; reads the index alone
select max(seq) from (
    select seq from {schema}.events where received_at < :moment order by received_at desc limit :limit
) as latest;

-- name: prune_events: what is older and was read by every consumer, the oldest first; events of an entity stay while a
-- consumer has not read a later one of it, which is compared with them
delete from {schema}.events where seq in (
    select seq from {schema}.events as old
    where received_at < :received_before
        and seq <= coalesce((select min(seq) from {schema}.consumers), 9223372036854775807)
        and not exists (
            select 1 from {schema}.events as later {by_entity_id}
            where later.entity_id = old.entity_id and later.seq > (select min(seq) from {schema}.consumers)
                and coalesce(later.entity, '') = coalesce(old.entity, '')
        )
    order by seq limit :limit
);

-- name: list_event_types: of a connection, from one to the next by the index, however many events each has
with recursive known (event_type) as (
    select ('' || :first) {byte_order}
    union all
    select (
        select one.event_type
        from (select ({event_type}) {byte_order} as event_type from {schema}.events {by_event_type}) as one
        where one.event_type > known.event_type and one.event_type < :last
        order by one.event_type limit 1
    ) from known where known.event_type is not null
)
select event_type from known where event_type > :first;

-- name: seqs_of_number: of an event, or of what changed
select seq from (
    select seq from {schema}.events {by_event_id}
    where event_id = :number_text and seq < :before and seq > :above
    order by seq desc limit :limit
) as of_event
union
select seq from (
    select seq from {schema}.events {by_entity_id}
    where entity_id = cast(:number as bigint) and seq < :before and seq > :above
    order by seq desc limit :limit
) as of_entity
order by seq desc limit :limit;

-- name: list_deliveries: those of some numbers that match a filter, without bodies
select {columns}, {body_size}
from {schema}.events
where seq {in_seqs}
    and conn_id = :conn_id
    and (cast(:entity as text) is null or entity = :entity)
    and (cast(:action as text) is null or "action" = :action)
    and (cast(:received_from as bigint) is null or received_at >= :received_from)
    and (cast(:received_until as bigint) is null or received_at < :received_until)
    and (not cast(:only_anomalies as boolean) or oddity is not null)
order by seq desc;

-- name: set_handshake
insert into {schema}.handshakes (subscription_key, conn_id, validation_code, received_at)
values (:subscription_key, :conn_id, :validation_code, :received_at)
on conflict (subscription_key) do update set
    conn_id = excluded.conn_id, validation_code = excluded.validation_code, received_at = excluded.received_at;

-- name: find_handshake
select conn_id, validation_code, received_at from {schema}.handshakes where subscription_key = :subscription_key;

-- name: find_consumer
select name, seq, updated_at from {schema}.consumers where name = :name;

-- name: list_consumers
select name, seq, updated_at from {schema}.consumers order by name;

-- name: move_consumer: never back
insert into {schema}.consumers as known (name, seq, updated_at) values (:name, :seq, :updated_at)
on conflict (name) do update set
    seq = case when excluded.seq > known.seq then excluded.seq else known.seq end, updated_at = excluded.updated_at;

-- name: remove_consumer
delete from {schema}.consumers where name = :name;

-- name: set_status
insert into {schema}.status (name, value, recorded_at) values (:name, :value, :recorded_at)
on conflict (name) do update set value = excluded.value, recorded_at = excluded.recorded_at;

-- name: find_status
select name, value, recorded_at from {schema}.status where name = :name;

-- name: list_status
select name, value, recorded_at from {schema}.status where name >= :first and name < :end order by name;

-- name: lock_status: until the end of the transaction, which removes it
select name, value, recorded_at from {schema}.status where name = :name {for_update};

-- name: remove_status
delete from {schema}.status where name = :name;

-- name: insert_refusal
insert into {schema}.refusals
    (conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at)
values (
    :conn_id, :outcome, :reason, :times, :seq, :size, :entity, :action, :entity_id, :event_id, :first_at, :last_at
);

-- name: prune_refusals: all but the newest ones
delete from {schema}.refusals where id <= (select max(id) from {schema}.refusals) - :kept;

-- name: list_refusals
select id, conn_id, outcome, reason, times, seq, size, entity, "action", entity_id, event_id, first_at, last_at
from {schema}.refusals
where id < :before and conn_id = :conn_id
    and (cast(:rejected as boolean) is null or (seq is not null) = cast(:rejected as boolean))
    and (cast(:lowest as bigint) is null or seq >= :lowest)
    and (cast(:highest as bigint) is null or seq <= :highest)
    and (cast(:entity as text) is null or entity = :entity)
    and (cast(:action as text) is null or "action" = :action)
    and (cast(:number_text as text) is null or event_id = :number_text or entity_id = cast(:number as bigint))
    and (cast(:at_from as bigint) is null or last_at >= :at_from)
    and (cast(:at_until as bigint) is null or first_at < :at_until)
order by id desc limit :limit;

-- name: set_measurement: the last one of a minute stays
insert into {schema}.series (name, bucket, at, value) values (:name, :bucket, :at, :value)
on conflict (name, bucket) do update set at = excluded.at, value = excluded.value;

-- name: add_measurement: the sum of an hour
insert into {schema}.series as known (name, bucket, at, value) values (:name, :bucket, :at, :value)
on conflict (name, bucket) do update set at = excluded.at, value = known.value + excluded.value;

-- name: prune_measurements: of one name what is older
delete from {schema}.series where name = :name and bucket < :oldest;

-- name: list_measurements
select name, at, value from {schema}.series where name >= :first and name < :end and at >= :since order by name, bucket;

-- name: last_below: of a number that only grows
select name, at, value from {schema}.series where name = :name and value < :value order by bucket desc limit 1;

-- name: first_reached: of a number that only grows
select name, at, value from {schema}.series where name = :name and value >= :value order by bucket limit 1;
