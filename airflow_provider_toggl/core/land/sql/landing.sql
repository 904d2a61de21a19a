-- The statements of one landing, and of reading back how far it came.

-- name: upsert_state: store progress; what requests were spent adds up
insert into sync_state (stream, scope, watermark, "cursor", last_run_at, requests_spent) values (?, ?, ?, ?, ?, ?)
on conflict (stream, scope) do update set
    watermark = excluded.watermark,
    "cursor" = excluded."cursor",
    last_run_at = excluded.last_run_at,
    requests_spent = sync_state.requests_spent + excluded.requests_spent;

-- name: upsert_rejected: keep each rejected record once, with the latest reason
insert into rejected_records (id, stream, workspace_id, raw, reason, observed_at, landed_at)
select id, stream, workspace_id, raw, reason, observed_at, landed_at from toggl_incoming
where true
on conflict (id) do update set reason = excluded.reason, observed_at = excluded.observed_at
where excluded.observed_at > rejected_records.observed_at;

-- name: upsert_complete_list: remember the latest complete list of a stream and workspace
insert into complete_lists (stream, workspace_id, complete_at) values (?, ?, ?)
on conflict (stream, workspace_id) do update set complete_at = excluded.complete_at
where excluded.complete_at > complete_lists.complete_at;

-- name: find_complete_list: was this stream ever read as a whole
select count(*) from complete_lists where stream = ?;

-- name: upsert_setting: change what views ask
insert into settings ("key", "value") values (?, ?)
on conflict ("key") do update set "value" = excluded."value" where settings."value" <> excluded."value";

-- name: find_days: on which local days entries began, deleted ones too; the zone is that of time_entry_facts
select distinct entry.workspace_id, cast(timezone(zone."value", entry."start") as date) as local_date
from time_entries as entry
    cross join (select coalesce(max("value"), 'UTC') as "value" from settings where "key" = 'timezone') as zone
where entry."start" is not null and entry.id in (select unnest(cast(? as bigint[])));
