"""The event store in a PostgreSQL schema."""
