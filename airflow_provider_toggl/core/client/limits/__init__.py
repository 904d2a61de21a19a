"""Limits on requests to Toggl: the leaky bucket, hourly quotas, fair shares, and the state that processes share."""
