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

# Histories are read for objects of other tables: tests/core/sync/test_rated_objects.py, test_changed_timesheets.py.
LATER = [name for name, stream in STREAMS.items() if name not in truth.STREAMS and stream.listing != "histories"]
KINDS_OF_LATER = [kind for kind, (_, of, _) in KINDS.items() if of in LATER or of == "users"]


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
        for changes in (0, 25):
            # A list of the same second as the one before does not show which of the two is later.
            workspace.toggl.advance(2)
            workspace.clock.ahead += 2
            workspace.toggl.mutate(seed=3, n=changes, kinds=KINDS_OF_LATER)
            for stream in LATER:
                Pull(session, target, workspace.request(stream, absent_share=1.0), clock=workspace.clock).run()
            wrong = [truth.entity_differences(query_of(target), workspace.toggl.url, stream) for stream in LATER]
            assert wrong == [[] for _ in LATER]
