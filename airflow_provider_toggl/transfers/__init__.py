"""From Toggl into a warehouse."""
