"""The Toggl page of the Airflow UI: health, charts, deliveries and actions, as server-rendered HTML."""
