"""The doctor with a real triggerer that runs a trigger, and after the triggerer was killed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.airflow_home import EXECUTABLES
from support.doctor_setup import DoctorSetup
from support.processes import end_session
from support.waiting import wait_until

from airflow_provider_toggl.cli.doctor_checks import find_triggerers
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("metadata-jobs"),
]


@pytest.fixture
def triggerer() -> None:
    """No heartbeat of a test: a real triggerer runs."""


@contextmanager
def waiting_trigger() -> Iterator[None]:
    """Add a trigger that watches an asset to Airflow's metadata database; Airflow removes other idle triggers."""
    from airflow.jobs.job import Job
    from airflow.models.asset import AssetModel
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session(scoped=False) as session:
        session.execute(delete(Job))
        asset = AssetModel(name="watched", uri="toggl://7/events", group="asset", extra={})
        trigger = Trigger.from_object(TogglEventTrigger())
        session.add_all([asset, trigger])
        session.flush()
        asset.add_trigger(trigger, "watched")
    try:
        yield
    finally:
        with create_session(scoped=False) as session:
            for asset in session.query(AssetModel).filter_by(name="watched"):
                session.delete(asset)
            session.flush()
            session.execute(delete(Trigger))
            session.execute(delete(Job))


@contextmanager
def running_triggerer(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [EXECUTABLES / "airflow", "triggerer"],
            env=dict(os.environ),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_session([process], timeout=0)


def test_a_triggerer_answers_the_probe_until_it_is_killed(
    setup: DoctorSetup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup.subscribe()
    setup.load()
    log = setup.folder / "triggerer.log"
    monkeypatch.setenv("AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT", "0")
    with waiting_trigger():
        with running_triggerer(log) as process:

            def is_working() -> bool:
                assert process.poll() is None, log.read_text()
                return find_triggerers("toggl_default", "").triggers == 1

            wait_until(is_working, timeout=300)
            result = setup.examine(capsys=capsys)
            assert (result.code, set(result.statuses().values())) == (0, {"ok"}), result.report
            assert "saw a probe" in result.of("triggerer")[0]["text"]
        # It was killed, and the database still has its heartbeat.
        monkeypatch.setenv("AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD", "1")
        wait_until(lambda: not find_triggerers("toggl_default", "").alive, timeout=60)
        result = setup.examine(capsys=capsys)
        assert (result.code, result.faults()) == (1, {"triggerer_down"})
