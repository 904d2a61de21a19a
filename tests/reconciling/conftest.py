from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.pulls import Workspace
    from support.sandboxes import SandboxHost

    from airflow_provider_toggl.sandbox.workspace.world import World


@pytest.fixture(scope="session")
def pulled_worlds() -> dict[str, tuple[World, Path]]:
    """Worlds, each with a warehouse that its time entries are pulled into. Tests use copies."""
    return {}


@pytest.fixture
def build_pulled(
    pulled_worlds: dict[str, tuple[World, Path]],
    pull_host: SandboxHost,
    empty_warehouse: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Workspace]:
    """Build a workspace and pull its time entries; parameters as for ``build_workspace``."""
    from support.pulls import Workspace, build_pull_world

    def build(**how: Any) -> Workspace:
        key = json.dumps(how, sort_keys=True)
        if key not in pulled_worlds:
            path = shutil.copy(empty_warehouse, tmp_path_factory.mktemp("pulled") / "warehouse.duckdb")
            world = build_pull_world(**how)
            Workspace(pull_host.serve(copy.deepcopy(world)), path).pull()
            pulled_worlds[key] = world, path
        world, path = pulled_worlds[key]
        return Workspace(pull_host.serve(copy.deepcopy(world)), shutil.copy(path, tmp_path / "warehouse.duckdb"))

    return build
