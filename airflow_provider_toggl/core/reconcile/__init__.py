"""Proves that the warehouse's time entries equal Toggl's, and repairs what does not."""
