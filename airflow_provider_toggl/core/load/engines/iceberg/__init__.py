"""Warehouses of Apache Iceberg tables, by pyiceberg."""
