-- Which days of the facts changed, as numbered changes, and how far each reader of them is.

-- name: count_counters: whether the counter of changes exists
select count(*) from "change_counter";

-- name: insert_counter: the counter of a new warehouse
insert into "change_counter" ("seq") values (0);

-- name: find_last_seq: the number of the latest change
select max("seq") from "change_counter";

-- name: increment_counter: the number of the next change; locks the counter until the transaction ends
update "change_counter" set "seq" = "seq" + 1;

-- name: restore_counter: a counter that somebody has deleted; days that are stored keep their numbers
insert into "change_counter" ("seq") select coalesce(max("seq"), 0) + 1 from "changed_days";

-- name: delete_days: forget earlier changes of some days of a workspace
delete from "changed_days" where "workspace_id" = ? and "day" in;

-- name: insert_days: record changes of days
insert into "changed_days" ("workspace_id", "day", "seq", "changed_at") values;

-- name: list_changes: the days that changed after a number
select "workspace_id", "seq", "day" from "changed_days" where "seq" > ?;

-- name: list_fact_days: every day that has facts, except starts near the ends of the calendar that earlier versions loaded
select distinct "workspace_id", "local_date" from "time_entry_facts"
where "local_date" is not null and "start" >= ? and "start" < ?;
