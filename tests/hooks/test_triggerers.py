from __future__ import annotations

import pytest
from support.doctor_setup import triggerer_job

from airflow_provider_toggl.hooks.triggerers import find_triggerers
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = [pytest.mark.airflow, pytest.mark.xdist_group("metadata-jobs")]


@pytest.mark.parametrize(("seconds_ago", "alive"), [(-3600.0, ("triggerer-1",)), (500.0, ())])
def test_a_triggerer_is_alive_by_its_heartbeat(seconds_ago: float, alive: tuple[str, ...]) -> None:
    with triggerer_job(seconds_ago=seconds_ago):
        found = find_triggerers("toggl_default", "")
    assert found.alive == alive
    assert found.last_heartbeat is not None
    assert seconds_ago <= found.last_heartbeat < seconds_ago + 600
    assert found.triggers == 0


def test_only_triggers_that_read_the_same_store_and_wait_in_a_live_triggerer_count() -> None:
    from airflow.jobs.job import Job
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    with triggerer_job(seconds_ago=-3600):
        with create_session(scoped=False) as session:
            (job_id,) = session.scalars(select(Job.id)).all()
            for owner, store in ((job_id, ""), (job_id, None), (job_id, "elsewhere"), (None, "")):
                row = Trigger.from_object(TogglEventTrigger(event_store_conn_id=store, once=True))
                row.triggerer_id = owner
                session.add(row)
        try:
            assert find_triggerers("toggl_default", "").triggers == 2
            assert find_triggerers("toggl_other", "").triggers == 1
            assert find_triggerers("toggl_other", "elsewhere").triggers == 1
        finally:
            with create_session(scoped=False) as session:
                session.execute(delete(Trigger))
