"""What warehouse and event store share about a database engine: session settings and the meaning of its errors."""
