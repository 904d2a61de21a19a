"""What to ask Toggl for: windows, pages, and what changed since the last time."""
