"""Parts of the Toggl API, typed: catalog, time entries and webhook subscriptions."""
