"""BigQuery: a load is computed by the task, and one script stores its changes in one transaction."""
