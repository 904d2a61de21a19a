"""Merging record batches into the tables: the merge rule, history and changed days."""
