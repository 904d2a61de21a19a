"""Client of Toggl Track: sends requests, keeps to the rate limits, and returns typed results or typed errors."""
