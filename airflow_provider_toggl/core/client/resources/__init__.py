"""Typed clients for parts of Toggl's API: catalog, time entries and webhook subscriptions."""
