-- Rate-limit state in PostgreSQL. Times are seconds since the epoch by the server's clock; token is a hash.

-- name: migrate_1_versions
create table {schema}.schema_version (
    version integer primary key,
    applied_at bigint not null
);

-- name: migrate_1_token_state: what token_state.TokenState has, as JSON
create table {schema}.token_state (
    token text primary key,
    state text not null
);

-- name: migrate_1_hourly_usage: requests per clock hour; hour is the number of the hour since the epoch
create table {schema}.hourly_usage (
    token text not null,
    lane text not null,
    hour bigint not null,
    requests bigint not null,
    total bigint,
    primary key (token, lane, hour)
);

-- name: lock_state: with the time after the lock was granted
with locked as materialized (
    select state from {schema}.token_state where token = :token for update
)
select state, extract(epoch from clock_timestamp())::float8 from locked;

-- name: add_token
insert into {schema}.token_state (token, state) values (:token, '') on conflict do nothing;

-- name: find_state
select (select state from {schema}.token_state where token = :token), extract(epoch from clock_timestamp())::float8;

-- name: save_state
update {schema}.token_state set state = :state where token = :token;

-- name: count_usage: one request
insert into {schema}.hourly_usage as known (token, lane, hour, requests, total)
    values (:token, :lane, :hour, 1, :total)
    on conflict (token, lane, hour) do update set
        requests = known.requests + 1, total = coalesce(excluded.total, known.total);

-- name: forget_usage
delete from {schema}.hourly_usage where token = :token and lane = :lane and hour < :oldest;

-- name: list_usage
select lane, hour, requests, total from {schema}.hourly_usage where token = :token and hour >= :hour
    order by lane, hour;
