"""A faithful local Toggl Track, over real HTTP, with nothing of Airflow."""
