from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.deliveries import DeliveryLoad
from support.servers.receivers import ReceiverProcess
from support.waiting import wait_until

pytestmark = pytest.mark.airflow


class SecretsFile:
    """Connections that can be changed while processes run: a file that Airflow's local backend reads each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.env = {
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(path)}),
            "AIRFLOW__TOGGL__RECEIVER_CONNECTIONS": "rotating",
        }

    def set(self, **extra: str) -> None:
        new = self._path.with_suffix(".new.json")
        new.write_text(json.dumps({"rotating": {"conn_type": "toggl", "extra": json.dumps(extra)}}))
        new.rename(self._path)


def test_no_delivery_with_either_secret_is_refused_while_the_secret_is_rotated_under_load(tmp_path: Path) -> None:
    secrets = SecretsFile(tmp_path / "connections.json")
    secrets.set(webhook_secret="old-secret")
    signing = {"old": "old-secret", "new": "old-secret"}
    with ReceiverProcess(tmp_path / "home", env=secrets.env) as receiver:
        address = receiver.address("rotating")
        with (
            DeliveryLoad(address, senders=4, secret=lambda: signing["old"]) as old,
            DeliveryLoad(address, senders=4, secret=lambda: signing["new"]) as new,
        ):

            def both_go_on() -> None:
                before = len(old.taken), len(new.taken)
                wait_until(lambda: len(old.taken) > before[0] + 50 and len(new.taken) > before[1] + 50, timeout=60)

            for _ in range(2):
                both_go_on()
                current, following = signing["old"], f"{signing['old']}+"
                secrets.set(webhook_secret=following, previous_webhook_secret=current)
                signing["new"] = following
                both_go_on()
                signing["old"] = following
                both_go_on()
                secrets.set(webhook_secret=following)
        assert set(old.statuses) == set(new.statuses) == {200}
        assert receiver.deliver(b"{}", secret="old-secret", conn_id="rotating").status_code == 401
