"""Loading: JSON from Toggl becomes typed rows, which are merged into the tables of a warehouse."""
