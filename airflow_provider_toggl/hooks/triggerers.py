"""Triggerers and this package's triggers, from Airflow's metadata database.

Only commands can use this; tasks and triggers have no access to that database.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from airflow_provider_toggl.core.operate.doctor.databases import TriggererFacts

_OURS = "airflow_provider_toggl.%"
_LIMIT = 200
"""Triggers whose arguments are read: each must be decrypted, and one is enough."""


def find_triggerers(conn_id: str, store_conn_id: str) -> TriggererFacts:
    """Return the live triggerers, by Airflow's own threshold, and their triggers that read a store.

    :param conn_id: the Toggl connection whose store it is.
    :param store_conn_id: the store's connection, empty for the default store.
    """
    from airflow.jobs.job import Job, JobState  # noqa: PLC0415 - loads the metadata database's models
    from airflow.models.trigger import Trigger  # noqa: PLC0415 - likewise
    from airflow.utils.session import create_session  # noqa: PLC0415 - likewise
    from sqlalchemy import select  # noqa: PLC0415 - likewise

    with create_session(scoped=False) as session:
        jobs = session.scalars(select(Job).where(Job.job_type == "TriggererJob")).all()
        alive = [job for job in jobs if job.state == JobState.RUNNING and job.is_alive()]
        beats = [job.latest_heartbeat for job in jobs if job.latest_heartbeat is not None]
        here = Trigger.triggerer_id.in_([job.id for job in alive])
        ours = select(Trigger).where(Trigger.classpath.like(_OURS), here).order_by(Trigger.id.desc()).limit(_LIMIT)
        triggers = [row for row in session.scalars(ours) if _reads(row.kwargs, conn_id, store_conn_id)]
        return TriggererFacts(
            alive=tuple(str(job.hostname) for job in alive),
            last_heartbeat=(datetime.now(timezone.utc) - max(beats)).total_seconds() if beats else None,
            triggers=len(triggers),
        )


def _reads(arguments: Mapping[str, Any], conn_id: str, store_conn_id: str) -> bool:
    """Whether a trigger with these arguments reads that store."""
    named = arguments.get("event_store_conn_id")
    return bool(arguments.get("toggl_conn_id") == conn_id if named is None else named == store_conn_id)
