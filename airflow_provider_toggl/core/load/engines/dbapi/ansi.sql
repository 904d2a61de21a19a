-- Statements for engines of which nothing is known but that they understand SQL.

-- name: take_turn: one landing a schema at a time; the transaction's end gives the row back
update "settings" set "value" = 'taken' where "key" = 'turn';
