"""SQLite, MySQL, MariaDB and unknown engines, through DB-API drivers; rows come in by batches of inserts."""
