"""What the package does, without Airflow: talk to Toggl, find what changed, land it."""
