"""Waiting for events in the middle of a DAG."""
