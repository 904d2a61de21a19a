"""Engines that only keep tables: the merge runs in an in-memory DuckDB, and the store gets the rows that changed."""
