-- Statements that only DuckDB understands.

-- name: find_tables: is there anything of ours in the current schema
select count(*) from information_schema.tables
where table_catalog = current_database() and table_schema = current_schema() and table_name = 'schema_version';

-- name: find_schema: is there such a schema
select count(*) from information_schema.schemata
where catalog_name = current_database() and schema_name = ?;

-- name: check_timezone: fails for a zone that DuckDB does not know
select timezone(?, timestamp with time zone '2000-01-01 00:00:00+00');
