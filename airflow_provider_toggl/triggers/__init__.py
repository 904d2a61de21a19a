"""Waiting for events in the triggerer."""
