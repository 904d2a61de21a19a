"""One quota, one pace and one warehouse for several hosts, through the CeleryExecutor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fleet import Fleet
from support.truth import differences

from airflow_provider_toggl.sandbox.server import SandboxProcess

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(900), pytest.mark.xdist_group("fleet")]

MAPPED = ("time_entries", "projects", "clients", "tags", "users", "groups")
RATE = 3.0
QUOTA = 60
RESERVE = 5


def test_tasks_on_three_hosts_share_pace_and_quota_and_survive_the_loss_of_a_host(
    start_fleet: Callable[..., Fleet], start_sandbox: Callable[..., SandboxProcess]
) -> None:
    # Behind one address, because there one bucket must hold for all hosts.
    fleet = start_fleet(own_addresses=False)
    toggl = start_sandbox(fleet.network.gateway, "--entries", "800", "--plan", "premium", "--seed", "21")
    toggl.set(bucket_enforced=True, bucket_rate=RATE, organization_quota=QUOTA, largest_page_size=25)
    fleet.connect(
        toggl, requests_per_second=RATE, quota_reserve=RESERVE, organization_id=toggl.health()["organization_id"]
    )
    fleet.start()
    run = fleet.trigger("mapped")
    fleet.wait_until(lambda: report_pages(toggl) >= 5, timeout=120, what="pages of time entries")
    lost = entries_task(fleet, run)["hostname"]
    fleet.kill_worker(lost)
    assert fleet.wait_for_run("mapped", run, timeout=240) == "success"
    assert differences(fleet.data.dsn, toggl.url, streams=MAPPED) == []
    last = entries_task(fleet, run)
    assert last["try_number"] == 2
    assert last["hostname"] != lost
    seen = toggl.requests()
    assert seen["by_status"] == {"200": seen["total"]}
    assert seen["by_lane"]["organization"] <= QUOTA - RESERVE
    # The next host went on at the next page.
    assert report_pages(toggl) <= 800 / 25 + 2


def report_pages(toggl: SandboxProcess) -> int:
    """Return how many pages of time entries were requested."""
    return sum(call["path"].endswith("/search/time_entries") for call in toggl.requests()["calls"])


def entries_task(fleet: Fleet, run: str) -> dict[str, Any]:
    """Return the mapped task that loads time entries."""
    return next(one for one in fleet.task_instances("mapped", run) if one["map_index"] == 0)
