from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support.hosts import has_namespaces, host_network
from support.sandboxes import request_times
from support.servers.postgres import running_postgres
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.server import SandboxProcess

pytestmark = pytest.mark.xdist_group("fleet")

RATE = 1.0


@pytest.mark.skipif(not has_namespaces(), reason="this machine gives hosts no addresses of their own")
@pytest.mark.parametrize("scope", ["host", "token"])
def test_hosts_with_own_addresses_keep_a_pace_each_only_if_the_connection_says_so(
    tmp_path: Path, start_sandbox: Callable[..., SandboxProcess], scope: str
) -> None:
    with host_network() as network, running_postgres(address=network.gateway) as server:
        toggl = start_sandbox(network.gateway, "--entries", "10")
        toggl.set(bucket_enforced=True, bucket_rate=RATE, bucket_capacity=1)
        extra: dict[str, Any] = {"event_store_conn_id": "toggl_state", "requests_per_second": RATE}
        env = {
            "AIRFLOW_CONN_TOGGL_DEFAULT": toggl.airflow_connection(allow_plain_http=True, pace_scope=scope, **extra),
            "AIRFLOW_CONN_TOGGL_STATE": json.dumps(server.connection),
        }
        started = [
            network.add(f"host-{number}", tmp_path / f"host-{number}").call(
                "support.host_requests:send", env=env, start=str(tmp_path), number=number, seconds=3 / RATE
            )
            for number in range(2)
        ]
        wait_until(lambda: len(list(tmp_path.glob("ready-*"))) == 2, timeout=60)
        toggl.reset_requests()
        (tmp_path / "go").touch()
        for process in started:
            printed, _ = process.communicate(timeout=120)
            assert json.loads(printed.splitlines()[-1])["errors"] == []
        seen = toggl.requests()
    assert seen["by_status"] == {"200": seen["total"]}
    shortest = min(later - earlier for earlier, later in pairwise(request_times(seen["calls"])))
    assert (shortest < 0.5 / RATE) is (scope == "host")
