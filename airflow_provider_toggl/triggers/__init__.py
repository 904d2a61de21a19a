"""Triggers: wait in the triggerer for events of Toggl or for the quota."""
