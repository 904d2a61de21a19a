-- What every SQLite database of this package has.

-- name: find_version: no row where nothing was made yet; and whether it is ours, for each database has versions
select version, exists(select 1 from sqlite_master where name = :own_table) from schema_version
    order by version desc limit 1;

-- name: is_foreign: tables without ours; asked in one statement, since another process may just be making ours
select exists(select 1 from sqlite_master where type = 'table')
    and not exists(select 1 from sqlite_master where name = 'schema_version');

-- name: insert_version
insert into schema_version (version, applied_at) values (:version, :applied_at);
