"""The client of Toggl Track: one synchronous session that paces, budgets and explains itself."""
