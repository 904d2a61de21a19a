from __future__ import annotations

from pathlib import Path

import pytest
from support.deliveries import event_body
from support.receivers import ReceiverProcess
from support.statsd import StatsdListener, faults
from support.waiting import wait_until

from airflow_provider_toggl.core import metrics

pytestmark = pytest.mark.airflow


def test_a_receiver_of_its_own_sends_how_deliveries_ended_to_statsd(tmp_path: Path) -> None:
    with StatsdListener() as statsd, ReceiverProcess(tmp_path, env=statsd.env()) as receiver:
        assert receiver.deliver(event_body(1)).status_code == 200
        assert receiver.deliver(event_body(1)).status_code == 200
        assert receiver.deliver(event_body(2), signature=None).status_code == 401
        receiver.stop()
        wait_until(lambda: statsd.total(metrics.DELIVERIES) == 3)
        wait_until(lambda: statsd.total(metrics.LAST_SEQ, store="default") == 1)
        wait_until(lambda: statsd.total(metrics.APPEND) >= 1)
        outcomes = {one.tag("outcome"): one.value for one in statsd.arrived(metrics.DELIVERIES.name)}
        assert outcomes == {"stored": 1, "duplicate": 1, "unsigned": 1}
        assert faults(statsd.arrived()) == []
