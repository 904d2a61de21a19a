-- Rate-limit state in SQLite. Times are seconds since the epoch; token is a hash.
-- Processes with different versions of the package may share a file, so a table whose columns change gets a new name.

-- name: create_last_request: the last request with a token, see leaky_bucket.BucketState
create table if not exists last_request (
    token text primary key,
    permit integer not null,
    granted_at real not null,
    answered_at real,
    closed_until real not null
);

-- name: create_in_flight: requests that were sent and not answered yet
create table if not exists in_flight (
    token text not null,
    permit integer not null,
    lane text not null,
    granted_at real not null,
    primary key (token, permit)
);

-- name: create_lane: what is left of each quota lane; permit is the last one that was granted when that was reported
create table if not exists lane (
    token text not null,
    lane text not null,
    total integer,
    remaining integer,
    resets_at real,
    reported_at real not null,
    permit integer not null,
    primary key (token, lane)
);

-- name: create_workspace: the organization of each workspace
create table if not exists workspace (
    token text not null,
    workspace_id integer not null,
    organization_id integer not null,
    primary key (token, workspace_id)
);

-- name: create_claim: what each claimant took of a window until it ends (counted_until), and until when it wants more
-- (alive_until); an empty name stands for requests without a claimant, and no number in wanted for as many as possible
create table if not exists claim (
    token text not null,
    lane text not null,
    name text not null,
    taken integer not null default 0,
    counted_until real not null default 0,
    wanted integer,
    alive_until real not null default 0,
    primary key (token, lane, name)
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

-- name: find_bucket
select permit, granted_at, answered_at, closed_until from last_request where token = :token;

-- name: save_bucket
insert into last_request (token, permit, granted_at, answered_at, closed_until)
    values (:token, :permit, :granted_at, :answered_at, :closed_until)
    on conflict (token) do update set permit = excluded.permit, granted_at = excluded.granted_at,
        answered_at = excluded.answered_at, closed_until = excluded.closed_until;

-- name: add_in_flight
insert into in_flight (token, permit, lane, granted_at) values (:token, :permit, :lane, :now);

-- name: remove_in_flight
delete from in_flight where token = :token and permit = :permit;

-- name: count_in_flight
select count(*) from in_flight where token = :token and lane = :lane;

-- name: forget_in_flight: requests of processes that died, and those from before the clock was set back
delete from in_flight where token = :token and (granted_at < :oldest or granted_at > :newest);

-- name: find_lane
select total, remaining, resets_at, reported_at, permit from lane where token = :token and lane = :lane;

-- name: list_lanes
select lane from lane where token = :token;

-- name: save_lane
insert into lane (token, lane, total, remaining, resets_at, reported_at, permit)
    values (:token, :lane, :total, :remaining, :resets_at, :now, :permit)
    on conflict (token, lane) do update set total = excluded.total, remaining = excluded.remaining,
        resets_at = excluded.resets_at, reported_at = excluded.reported_at, permit = excluded.permit;

-- name: find_organization
select organization_id from workspace where token = :token and workspace_id = :workspace_id;

-- name: list_organizations
select workspace_id, organization_id from workspace where token = :token;

-- name: save_organization
insert into workspace (token, workspace_id, organization_id) values (:token, :workspace_id, :organization_id)
    on conflict (token, workspace_id) do update set organization_id = excluded.organization_id;

-- name: move_lane: unless the other lane is known already
update lane set lane = :new where token = :token and lane = :old
    and not exists (select 1 from lane where token = :token and lane = :new);

-- name: remove_lane
delete from lane where token = :token and lane = :old;

-- name: move_in_flight
update in_flight set lane = :new where token = :token and lane = :old;

-- name: move_claims: unless the same claimant has one in the other lane already
update claim set lane = :new where token = :token and lane = :old
    and not exists (select 1 from claim c where c.token = :token and c.lane = :new and c.name = claim.name);

-- name: remove_claims
delete from claim where token = :token and lane = :old;

-- name: count_taken
select taken from claim where token = :token and lane = :lane and name = :name and counted_until > :now;

-- name: count_taken_by_all
select coalesce(sum(taken), 0) from claim where token = :token and lane = :lane and counted_until > :now;

-- name: list_rivals
select case when counted_until > :now then taken else 0 end, wanted from claim
    where token = :token and lane = :lane and name <> :name and alive_until > :now;

-- name: save_claim
insert into claim (token, lane, name, wanted, alive_until) values (:token, :lane, :name, :wanted, :alive_until)
    on conflict (token, lane, name) do update set wanted = excluded.wanted, alive_until = excluded.alive_until;

-- name: charge_claim: one request
insert into claim (token, lane, name, taken, counted_until) values (:token, :lane, :name, 1, :counted_until)
    on conflict (token, lane, name) do update set
        taken = case when claim.counted_until > :now then claim.taken else 0 end + 1,
        counted_until = excluded.counted_until, wanted = claim.wanted - 1;

-- name: set_window_end: every response reports it again, up to a second apart
update claim set counted_until = :resets_at where token = :token and lane = :lane and counted_until > :now;

-- name: end_claims
update claim set alive_until = 0 where token = :token and name = :name;

-- name: forget_claims: that neither count nor want anything, and those from before the clock was set back
delete from claim where token = :token
    and ((counted_until <= :now and alive_until <= :now) or counted_until > :newest or alive_until > :newest);

-- name: count_usage: one request
insert into hourly_usage (token, lane, hour, requests, total) values (:token, :lane, :hour, 1, :total)
    on conflict (token, lane, hour) do update set
        requests = hourly_usage.requests + 1, total = coalesce(excluded.total, hourly_usage.total);

-- name: forget_usage
delete from hourly_usage where token = :token and lane = :lane and hour < :oldest;

-- name: list_usage
select lane, hour, requests, total from hourly_usage where token = :token and hour >= :hour order by lane, hour;
