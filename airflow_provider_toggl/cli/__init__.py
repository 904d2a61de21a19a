"""Commands of ``python -m airflow_provider_toggl``."""
