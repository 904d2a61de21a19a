-- Statements for engines of which nothing is known but that they understand SQL.

-- name: lock_schema: one writer a schema at a time; the end of the transaction unlocks the row
update "settings" set "value" = 'taken' where "key" = 'turn';
