"""DuckDB: a file that one process writes at a time; rows come in as Arrow tables."""
