"""Read streams from Toggl: windows of days, pages, and what changed since the last run."""
