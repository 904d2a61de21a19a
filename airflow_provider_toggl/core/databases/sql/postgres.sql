-- What every PostgreSQL schema of this package has.

-- name: find_tables: whether the schema is there, and whether its first table
select to_regnamespace(:quoted_schema) is not null, to_regclass(:version_table) is not null;

-- name: find_version
select version from {schema}.schema_version order by version desc limit 1;

-- name: lock_for_migration: until the end of the transaction
select pg_advisory_xact_lock(hashtextextended(:schema, 0));

-- name: allow_long_statements
set local statement_timeout = 0;

-- name: create_schema
create schema {schema};

-- name: insert_version
insert into {schema}.schema_version (version, applied_at) values (:version, :applied_at);
