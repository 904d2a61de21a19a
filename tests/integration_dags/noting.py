"""A task that writes down what started its run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import task


@task
def note(triggering_asset_events: Any = None, ti: Any = None) -> None:
    """Write what the asset events of a run say into a file of the run."""
    events = [event for some in triggering_asset_events.values() for event in some]
    name = f"{ti.dag_id}.{ti.run_id}.{ti.try_number}.json".replace("/", "_")
    Path(os.environ["TEST_NOTES"], name).write_text(json.dumps([event.extra["payload"] for event in events]))
