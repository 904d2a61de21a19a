"""However deliveries are doubled, late and out of order, what is drained is what is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.event_stores import open_sqlite
from support.pulls import STREAMS, Workspace
from support.sandboxes import SandboxHost, build_still_world
from support.webhook_stream import WebhookStream, drain, wrong

DELETED = ("full", "ids", "null")
KEYS = ("legacy", "newer")
IDS = ("named", "entity_id", "both")
TAGS = ("captured", "empty", "null")


def settings_of(seed: int) -> dict[str, Any]:
    """Return switches of what bodies look like, all of them over some seeds."""
    return {
        "webhook_deleted_payload": DELETED[seed % 3],
        "webhook_keys": KEYS[seed // 3 % 2],
        "webhook_id_key": IDS[seed // 2 % 3],
        "webhook_no_tags": TAGS[seed // 5 % 3],
        "plan": ("free", "premium")[seed // 7 % 2],
    }


def check(host: SandboxHost, folder: Path, seed: int, changes: int, *, pulls: int = 0) -> None:
    """Pull a new workspace once, change it, and drain its events in a few rounds.

    :param pulls: incremental pulls of everything between the rounds.
    """
    world = build_still_world(entries=60, days=20, **settings_of(seed))
    workspace = Workspace(host.serve(world), folder / "warehouse.duckdb")
    workspace.pull_all()
    assert wrong(world, workspace.path) == []
    stream = WebhookStream(world, seed, subscriptions=1 + seed % 2)
    stream.change(changes)
    coming = stream.deliveries()
    rounds = 3
    with open_sqlite(folder / "events.sqlite") as store:
        for number in range(rounds):
            part = coming[number * len(coming) // rounds : (number + 1) * len(coming) // rounds]
            for begin in range(0, len(part), 500):
                store.append(part[begin : begin + 500])
            summary = drain(store, workspace.path)
            assert summary.rejected == 0
            if number < pulls:
                # So much is deleted at once that the pull would ask a person.
                for name in STREAMS:
                    workspace.pull(name, absent_share=1.0)
    assert wrong(world, workspace.path) == []


@pytest.mark.parametrize("seed", [1, 9])
def test_the_drained_warehouse_equals_the_truth(pull_host: SandboxHost, tmp_path: Path, seed: int) -> None:
    check(pull_host, tmp_path, seed, 500)


@pytest.mark.parametrize("seed", [2])
def test_so_it_does_with_pulls_in_between(pull_host: SandboxHost, tmp_path: Path, seed: int) -> None:
    check(pull_host, tmp_path, seed, 300, pulls=1)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("tens", range(10))
def test_so_it_does_after_five_thousand_changes_whatever_the_seed(
    pull_host: SandboxHost, tmp_path: Path, tens: int
) -> None:
    for seed in range(100 + 10 * tens, 110 + 10 * tens):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(pull_host, folder, seed, 5_000, pulls=seed % 2)
