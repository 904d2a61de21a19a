"""How things are: put together out of what others keep, without a request to Toggl."""
