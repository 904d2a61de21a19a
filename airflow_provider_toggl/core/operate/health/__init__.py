"""The state of a connection as recorded in the event store and the rate-limit state, without a request to Toggl."""
