"""The databases that rows are loaded into, one folder for each family.

``contract`` is for an engine that runs the merge itself. ``table_store.contract`` is for one that only keeps tables:
there, an in-memory DuckDB runs the merge. ``dbapi`` has a module for each database that a ``DbApiHook`` reaches.
``hooks.warehouse`` chooses the engine by the type of the connection.
"""
