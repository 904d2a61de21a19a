"""The warehouse's tables and views: schemas, migrations, time zones and stored state."""
