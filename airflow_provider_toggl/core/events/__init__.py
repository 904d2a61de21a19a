"""The event store: what Toggl delivered, kept in the order in which it became visible."""
