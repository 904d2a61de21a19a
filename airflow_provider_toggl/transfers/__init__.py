"""Operators that load data of Toggl into a warehouse."""
