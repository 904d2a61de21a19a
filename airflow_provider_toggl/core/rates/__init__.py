"""Rates and costs of hours: which one held when a time entry started, and what the entry is worth."""
