"""REST API v9: the token's owner, the workspace, the organization, and the writes."""
