"""PostgreSQL: rows come in by binary COPY."""
