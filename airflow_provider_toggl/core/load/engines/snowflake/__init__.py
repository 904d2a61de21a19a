"""Snowflake: rows are uploaded as Parquet files, and one script of the server merges and commits them."""
