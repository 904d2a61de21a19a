"""Snowflake: rows travel as Parquet files to a temporary stage, and one script of the server merges and commits them."""
