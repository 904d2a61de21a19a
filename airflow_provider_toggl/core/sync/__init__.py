"""Runs that join extracting, the event store and loading: pull, drain, plan and the retry of rejected records."""
