"""A local Toggl Track over HTTP, with generated data, for tests and trials; independent of Airflow."""
