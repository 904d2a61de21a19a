-- Statements that only MySQL and MariaDB understand.

-- name: find_schema: whether there is such a database
select count(*) from information_schema.schemata where schema_name = ?;

-- name: find_tables: whether it has our tables
select count(*) from information_schema.tables where table_schema = database() and table_name = 'schema_version';

-- name: find_narrow_charsets: character sets of our columns that do not hold every character
select distinct character_set_name from information_schema.columns
where table_schema = database() and character_set_name is not null and character_set_name <> 'utf8mb4';

-- name: lock_schema: one writer a schema at a time
select get_lock(?, ?);

-- name: unlock_schema: let the next writer continue
select release_lock(?);
