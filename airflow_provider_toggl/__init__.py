"""Apache Airflow provider for Toggl Track."""

from __future__ import annotations

__version__ = "0.1.0"
