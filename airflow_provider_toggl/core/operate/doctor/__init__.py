"""Checks that send requests: to Toggl, to the callback, to the event store and to the warehouse."""
