"""Streams as Parquet or JSON lines files, which manifests publish."""
