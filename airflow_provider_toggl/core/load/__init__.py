"""Landing: JSON of Toggl to typed records, to Arrow, to one merge that keeps the warehouse's rows convergent."""
