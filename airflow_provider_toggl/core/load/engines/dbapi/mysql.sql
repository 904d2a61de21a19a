-- Statements that only MySQL and MariaDB understand.

-- name: find_schema: is there such a database
select count(*) from information_schema.schemata where schema_name = ?;

-- name: find_tables: is there anything of ours in it
select count(*) from information_schema.tables where table_schema = database() and table_name = 'schema_version';

-- name: find_narrow_charsets: character sets of our columns that do not hold every character
select distinct character_set_name from information_schema.columns
where table_schema = database() and character_set_name is not null and character_set_name <> 'utf8mb4';

-- name: take_turn: one landing a schema at a time
select get_lock(?, ?);

-- name: end_turn: let the next one
select release_lock(?);
