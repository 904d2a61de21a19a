from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import truth
from support.pulls import Workspace, build_workspace
from support.sandboxes import SandboxHost
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.core.sync.pull import Pull
from airflow_provider_toggl.sandbox.mutate import KINDS

LATER = [name for name in STREAMS if name not in truth.STREAMS]
#: The histories among them are read for objects of these tables too.
BEFORE = ("projects", "project_users", "tasks")
KINDS_OF_LATER = [kind for kind, (_, of, _) in KINDS.items() if of in LATER or of == "users"]

#: What leaves all setups. The histories of what no list has any more stay as they were.
WITH_SETUPS = [kind for kind in KINDS_OF_LATER if KINDS[kind][1] != "timesheet_setups"]


@pytest.fixture
def workspace(sandbox_host: SandboxHost, tmp_path: Any) -> Workspace:
    return build_workspace(sandbox_host, tmp_path / "unused", entries=10, plan="premium")


def query_of(target: Warehouse) -> Callable[[str], list[dict[str, Any]]]:
    def query(sql: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = target.query(sql.replace('"toggl".', "")).to_pylist()
        return found

    return query


def test_each_later_stream_reaches_the_truth_through_changes_and_deletions(
    place: WarehouseLocation, workspace: Workspace
) -> None:
    session = workspace.session()
    with place.open() as target:
        for changes, kinds in ((0, []), (25, WITH_SETUPS), (25, KINDS_OF_LATER)):
            # A list of the same second as the one before does not show which of the two is later.
            workspace.toggl.advance(2)
            workspace.clock.ahead += 2
            workspace.toggl.mutate(seed=3, n=changes, kinds=kinds)
            for stream in (*BEFORE, *LATER):
                # The first incremental load has the histories of a month only.
                is_whole = changes == 0 and STREAMS[stream].listing == "histories"
                request = workspace.request(stream, absent_share=1.0, incremental=not is_whole)
                Pull(session, target, request, clock=workspace.clock).run()
            of_all = kinds is not KINDS_OF_LATER
            compared = [name for name in LATER if of_all or STREAMS[name].listing != "histories"]
            wrong = [truth.entity_differences(query_of(target), workspace.toggl.url, stream) for stream in compared]
            assert wrong == [[] for _ in compared]
