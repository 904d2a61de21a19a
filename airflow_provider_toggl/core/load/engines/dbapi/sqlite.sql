-- Statements that only SQLite understands.

-- name: find_tables: whether the file has our tables
select count(*) from sqlite_master where "name" = 'schema_version';

-- name: find_event_store: whether the file is one of received events, by a table that only those have
select count(*) from sqlite_master where "type" = 'table' and "name" = 'handshakes';
