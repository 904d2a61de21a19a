-- Version, settings, progress, rejected records and complete lists. Each engine understands these statements.

-- name: list_last_runs: when each stream was last loaded
select "stream", max("last_run_at") as "last_run_at" from "sync_state" group by "stream" order by "stream";

-- name: find_state: how far a stream is loaded
select "watermark", "cursor", "last_run_at", "requests_spent" from "sync_state" where "stream" = ? and "scope" = ?;

-- name: count_state: whether progress is stored
select count(*) from "sync_state" where "stream" = ? and "scope" = ?;

-- name: insert_state: store a first progress
insert into "sync_state" ("watermark", "cursor", "last_run_at", "requests_spent", "stream", "scope")
values (?, ?, ?, ?, ?, ?);

-- name: update_state: store progress; requests add up
update "sync_state" set "watermark" = ?, "cursor" = ?, "last_run_at" = ?, "requests_spent" = "requests_spent" + ?
where "stream" = ? and "scope" = ?;

-- name: find_rejected: which of these rejected records are stored, and the time of each
select "id", "observed_at" from "rejected_records" where "id" in;

-- name: insert_rejected: store a rejected record
insert into "rejected_records" ("id", "stream", "workspace_id", "raw", "reason", "observed_at", "landed_at")
values (?, ?, ?, ?, ?, ?, ?);

-- name: update_rejected: store the latest reason
update "rejected_records" set "reason" = ?, "observed_at" = ? where "id" = ?;

-- name: find_complete_list: whether this stream was ever listed completely
select count(*) from "complete_lists" where "stream" = ?;

-- name: count_complete_list: whether it was in this workspace
select count(*) from "complete_lists" where "stream" = ? and "workspace_id" = ?;

-- name: insert_complete_list: store the first complete list of a stream and workspace
insert into "complete_lists" ("complete_at", "stream", "workspace_id") values (?, ?, ?);

-- name: update_complete_list: store the latest one
update "complete_lists" set "complete_at" = ? where "stream" = ? and "workspace_id" = ? and "complete_at" < ?;

-- name: find_setting: read a setting
select "value" from "settings" where "key" = ?;

-- name: insert_setting: store a new setting
insert into "settings" ("value", "key") values (?, ?);

-- name: update_setting: change a setting
update "settings" set "value" = ? where "key" = ?;

-- name: delete_offsets: remove a zone's offsets
delete from "zone_offsets";

-- name: insert_offset: store one of a zone's offsets
insert into "zone_offsets" ("begin_at", "end_at", "offset_seconds") values (?, ?, ?);

-- name: find_version: the version of the tables
select max("version") from "schema_version";

-- name: insert_version: a migration was applied
insert into "schema_version" ("version", "applied_at") values (?, ?);
