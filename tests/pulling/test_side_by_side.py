"""Several processes at one file, and several workspaces and schemas beside each other."""

from __future__ import annotations

import multiprocessing
from datetime import datetime, timezone

from support.pull_process import pull_stream
from support.pulls import STREAMS, Workspace, build_workspace
from support.sandboxes import SandboxHost


def test_eight_streams_loading_at_once_in_eight_processes_wait_for_each_other(build):
    # The processes use the machine's clock.
    workspace: Workspace = build(now=datetime.now(timezone.utc))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "support.pull_process"])
    toggl = workspace.toggl
    tasks = [(toggl.url, toggl.token, workspace.id, stream, str(workspace.path)) for stream in STREAMS]
    with context.Pool(len(STREAMS)) as pool:
        rows = dict(pool.starmap(pull_stream, tasks, chunksize=1))
    assert workspace.wrong() == []
    assert rows["time_entries"] == 240


def test_a_pull_lets_others_at_the_file_while_it_waits_for_toggl(workspace: Workspace):
    seen = []

    def look(call: object) -> None:
        if not seen:
            seen.append(workspace.rows("SELECT count(*) AS n FROM toggl.time_entries")[0]["n"])

    session = workspace.session(before_call=look)
    session._clock = LongSleeper()
    session._state.hold_back(3.0, session._clock.now())
    workspace.pull(session=session)
    assert seen == [0]


class LongSleeper:
    """A clock on which every wait is over at once."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return datetime.now(timezone.utc).timestamp() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


def test_two_workspaces_in_one_warehouse_keep_apart(pull_host: SandboxHost, workspace: Workspace):
    workspace.pull_all()
    before = workspace.content("time_entries"), workspace.state("tags")
    other = build_workspace(pull_host, workspace.path, seed=9, entries=30)
    renumber(other)
    other.pull("time_entries")
    other.pull("tags")
    mine = [row for row in workspace.content("time_entries") if row["workspace_id"] == workspace.id]
    assert (mine, workspace.state("tags")) == before
    assert len(workspace.content("time_entries")) == len(mine) + 30
    assert other.state("tags", str(other.id)) is not None


def renumber(workspace: Workspace) -> None:
    """Give a world ids that no other world has."""
    world = workspace.toggl.world
    world.workspace.id = workspace.id = 7_000_002
    for table in (world.time_entries, world.tags):
        things = list(table.values())
        table.clear()
        for thing in things:
            thing.id += 500_000_000_000
            thing.workspace_id = world.workspace.id
            table[thing.id] = thing
    for entry in world.time_entries.values():
        entry.tag_ids = []
