"""Thin Airflow faces of the client and the warehouse."""
