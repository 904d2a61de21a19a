-- Rate-limit state in SQLite. Times are seconds since the epoch; token is a hash.
-- Processes with different versions of the package may share a file, so a table whose content changes gets a new name.

-- name: create_token_state: what token_state.TokenState has, as JSON
create table if not exists token_state (
    token text primary key,
    state text not null
);

-- name: create_hourly_usage: requests per clock hour; hour is the number of the hour since the epoch
create table if not exists hourly_usage (
    token text not null,
    lane text not null,
    hour integer not null,
    requests integer not null,
    total integer,
    primary key (token, lane, hour)
) without rowid;

-- name: find_state
select state from token_state where token = :token;

-- name: save_state
insert into token_state (token, state) values (:token, :state)
    on conflict (token) do update set state = excluded.state;

-- name: count_usage: one request
insert into hourly_usage (token, lane, hour, requests, total) values (:token, :lane, :hour, 1, :total)
    on conflict (token, lane, hour) do update set
        requests = hourly_usage.requests + 1, total = coalesce(excluded.total, hourly_usage.total);

-- name: forget_usage
delete from hourly_usage where token = :token and lane = :lane and hour < :oldest;

-- name: list_usage
select lane, hour, requests, total from hourly_usage where token = :token and hour >= :hour order by lane, hour;
