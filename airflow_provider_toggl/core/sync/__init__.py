"""Runs that join reading, the event store and loading: pull, drain, plan, and redrive of rejected records."""
