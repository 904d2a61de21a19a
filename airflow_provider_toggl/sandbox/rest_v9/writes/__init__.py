"""Creates, updates and deletes of REST v9: checked as Toggl checks them, with the same side effects."""
