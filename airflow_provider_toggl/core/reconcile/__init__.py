"""Verify that the warehouse has the time entries that Toggl has, and repair what differs."""
