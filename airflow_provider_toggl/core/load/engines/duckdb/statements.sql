-- Statements that only DuckDB understands.

-- name: find_tables: whether the current schema has our tables
select count(*) from information_schema.tables
where table_catalog = current_database() and table_schema = current_schema() and table_name = 'schema_version';

-- name: find_schema: whether there is such a schema
select count(*) from information_schema.schemata
where catalog_name = current_database() and schema_name = ?;

-- name: check_timezone: fails for a time zone that DuckDB does not know
select timezone(?, timestamp with time zone '2000-01-01 00:00:00+00');
