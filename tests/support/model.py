"""A workspace whose life is drawn by chance: changes, deliveries, pulls and reconciliations, with every fault between.

What happens is decided by a seed alone. When all is quiet again, one reconciliation must leave the truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from support.event_worlds import FIELDS, Telling, differences
from support.pulls import STREAMS, Workspace
from support.receiver_host import ReceiverHost
from support.sandboxes import Host, build_still_world

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.target import Target
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.run import Reconcile
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest
from airflow_provider_toggl.core.sync.pull import Pull
from airflow_provider_toggl.sandbox.mutate import KINDS, mutate
from airflow_provider_toggl.sandbox.truth import truth
from airflow_provider_toggl.sandbox.world import World

OpenTarget = Callable[[], Target]

ZONES = ("Europe/Berlin", "America/New_York", "Pacific/Auckland", "UTC", "Asia/Kolkata")
LISTS = tuple(stream for stream in STREAMS if stream != "time_entries")
#: Before this day nothing of a model's workspace is.
SINCE = "2022-01-01"


class Killed(BaseException):
    """A process ends here, whatever it was at."""


def settings_of(chance: random.Random) -> dict[str, Any]:
    """Draw what Toggl leaves undocumented."""
    choices: dict[str, tuple[Any, ...]] = {
        "plan": ("free", "premium"),
        "summary_gives_ids": (True, True, False),
        "summary_ids_where": ("sub_groups", "groups", "both"),
        "report_times": ("user", "utc"),
        "report_running_seconds": ("negative", "elapsed"),
        "report_no_description_is_empty": (True, False),
        "report_time_entry_ids": ("filter", "filter", "filter", "ignore"),
        "report_range_counts": ("difference", "inclusive"),
        "largest_page_size": (50, 200, 1000),
        "project_deletion_moves_at": (True, False),
        "client_deletion_moves_at": (True, False),
        "tag_deletion_moves_at": (False, False, True),
        "task_deletion_moves_at": (True, False),
        "webhook_deleted_payload": ("full", "ids", "null"),
        "webhook_keys": ("legacy", "newer"),
        "webhook_id_key": ("named", "entity_id", "both"),
        "webhook_no_tags": ("captured", "empty", "null"),
        "webhook_bulk_events": (True, False),
        "webhook_side_effect_events": (True, False),
        "v9_at": ("micros", "seconds"),
    }
    return {name: chance.choice(values) for name, values in choices.items()}


@dataclass
class Model:
    """One workspace, its receiver and its warehouse, under a seed.

    :param open_target: opens the warehouse, as a task does at its start.
    """

    host: Host
    receiver: ReceiverHost
    folder: Path
    open_target: OpenTarget
    seed: int
    story: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        settings = settings_of(self.chance)
        self.world = build_still_world(entries=self.chance.choice((40, 90, 150)), days=40, **settings)
        self.world.change_user(self.world.owner, timezone=self.chance.choice(ZONES))
        self.toggl = self.host.serve(self.world)
        self.workspace = Workspace(self.toggl, self.folder / "unused.duckdb")
        self.telling = Telling(self.world, self.seed, subscriptions=1 + self.seed % 2)
        self.events = self.folder / "events.sqlite"
        with SqliteEventStore(self.events) as store:
            store.prepare()
        self.receiver.receive_into(self.events)
        self.on_its_way: list[bytes] = []
        self.note(str(settings))

    # -- a life ------------------------------------------------------------------------------------------------------

    def live(self, steps: int) -> None:
        """Let so many things happen, each of a kind drawn by chance."""
        kinds: dict[Callable[[], None], float] = {
            self.change: 10,
            self.deliver: 8,
            self.drain: 5,
            self.pull: 5,
            self.reconcile_as_it_comes: 3,
            self.pass_time: 4,
            self.order_fault: 6,
            self.change_rights_or_zone: 2,
        }
        for _ in range(steps):
            (act,) = self.chance.choices(list(kinds), list(kinds.values()))
            self.note(act.__name__)
            act()

    def settle(self) -> ReconcileSummary:
        """Let all faults end and time pass, read the lists, and reconcile once; what webhooks lost stays lost."""
        self.toggl.clear_faults()
        self.world.change_user(self.world.owner, is_admin=True)
        self.world.settings.update({"retention_days": None})
        self.world.advance(8 * 86_400)
        for stream in LISTS:
            self.run(stream, absent_share=1.0)
        return self.reconcile(rules=DeletionRules(allow_mass=True))

    def wrong(self) -> list[str]:
        """Return how the live rows of the warehouse differ from what is true."""
        with self.open_target() as target:
            words = wrong(self.world, target)
        # Nobody asked for what was moved to before the first day.
        before = [row["id"] for row in truth(self.world, "time_entries") if row["start"] < SINCE]
        return [word for word in words if not any(str(id_) in word for id_ in before)]

    def note(self, words: str) -> None:
        """Keep what happened, for who must find out why a seed fails."""
        self.story.append(words)

    # -- what can happen ---------------------------------------------------------------------------------------------

    def change(self) -> None:
        """People work; what they may does not depend on what the token's owner still may."""
        owner = self.world.owner
        may, owner.is_admin = owner.is_admin, True
        mutate(self.world, seed=self.chance.randrange(1_000_000), n=self.chance.choice((1, 5, 30)), kinds=list(KINDS))
        owner.is_admin = may

    def deliver(self) -> None:
        """Toggl sends what it has to tell: late, doubled, out of order, and some of it never; and others send too."""
        told = [event.body for event in self.telling.deliveries(lateness=20.0)]
        lost = self.chance.choice((0.0, 0.1, 0.5, 1.0))
        self.on_its_way += [body for body in told if self.chance.random() >= lost]
        part = len(self.on_its_way) if self.chance.random() < 0.5 else self.chance.randrange(len(self.on_its_way) + 1)
        now, self.on_its_way = self.on_its_way[:part], self.on_its_way[part:]
        self.receiver.clock.base = self.world.now().timestamp()
        self.receiver.clock.off = self.chance.choice((0.0, 0.0, 3600.0, -3600.0))
        assert set(self.receiver.deliver(now)) <= {200}
        if now and self.chance.random() < 0.3:
            assert set(self.receiver.deliver(now[:3], secret="of somebody else")) == {401}
            assert set(self.receiver.deliver([now[0][:-2]])) == {400}

    def drain(self) -> None:
        """What was received is landed."""
        with SqliteEventStore(self.events) as store, self.open_target() as target:
            # Of somebody who left, ids alone do not say who it was.
            Drain(store, target, DrainRequest("default", "model")).run()

    def pull(self) -> None:
        """A stream is read, if nothing comes between."""
        self._try(lambda: self.run(self.chance.choice(("time_entries", *STREAMS)), **self._between()))

    def reconcile_as_it_comes(self) -> None:
        """A reconciliation is tried in the middle of it all."""
        self._try(lambda: self.reconcile(**self._between()))

    def pass_time(self) -> None:
        """Nothing happens for a while."""
        self.world.advance(self.chance.choice((1, 60, 3_600, 90_000, 400_000)))

    def order_fault(self) -> None:
        """The next answers of Toggl are wrong in some way."""
        times = self.chance.choice((1, 1, 2, 5))
        reports = {"path": "/reports/"}
        orders: list[tuple[str, dict[str, Any]]] = [
            ("status", {"status": self.chance.choice((500, 502, 429, 403)), "times": times}),
            ("cut", {"fraction": 0.5, "times": times}),
            ("not_json", {"times": times}),
            ("short_page", {"drop_rows": self.chance.choice((1, 10)), "keep_next": True, "times": times}),
            ("reports_lag", {"seconds": self.chance.choice((60, 7_200)), "match": reports, "times": times}),
            (
                "hide_entries",
                {"share": self.chance.choice((0.05, 0.5, 1.0)), "seed": self.seed, "match": reports, "times": times},
            ),
        ]
        kind, order = self.chance.choice(orders)
        self.note(f"{kind} {order}")
        self.toggl.fault(kind, **order)

    def change_rights_or_zone(self) -> None:
        """The token's owner loses rights, gets them back, moves, or the plan shows less."""
        world, chance = self.world, self.chance
        what = chance.randrange(4)
        if what == 0:
            world.change_user(world.owner, is_admin=not world.owner.is_admin)
        elif what == 1:
            world.change_user(world.owner, timezone=chance.choice(ZONES))
        elif what == 2:
            world.settings.update(
                {"retention_days": chance.choice((None, 20)), "retention_told": chance.random() < 0.5}
            )
        else:
            self.toggl.control("PATCH", "workspace", {"rounding": chance.choice((-1, 0, 1)), "rounding_minutes": 15})

    # -- tasks -------------------------------------------------------------------------------------------------------

    def run(self, stream: str, before_call: Any = None, **options: Any) -> None:
        """Pull a stream once."""
        more = {"since": SINCE, "windows_per_run": 9} if stream == "time_entries" else {}
        session = self.workspace.session(before_call=before_call)
        with self.open_target() as target:
            Pull(session, target, self.workspace.request(stream, **more, **options)).run()

    def reconcile(self, before_call: Any = None, **options: Any) -> ReconcileSummary:
        """Reconcile once."""
        session = self.workspace.session(before_call=before_call)
        request = ReconcileRequest(
            workspace_id=self.workspace.id, run_started=datetime.now(timezone.utc), since=SINCE, **options
        )
        with self.open_target() as target:
            return Reconcile(session, target, request).run()

    def _between(self) -> dict[str, Any]:
        """Draw what comes between the requests of a run: nothing, somebody's work, a delivery, or its death."""
        fate = self.chance.choice(("nothing", "nothing", "work", "kill"))
        at = self.chance.randrange(1, 6)
        calls = 0

        def before_call(_: Any) -> None:
            nonlocal calls
            calls += 1
            if calls != at:
                return
            if fate == "kill":
                raise Killed
            if fate == "work":
                self.change()

        self.note(f"{fate} before request {at}")
        return {"before_call": before_call}

    def _try(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except TogglError as error:
            self.note(f"{type(error).__name__}: {error}")
        except Killed:
            self.note("killed")


def wrong(world: World, target: Target) -> list[str]:
    """Return how the live rows of any warehouse differ from what is true, in every field that is landed."""
    words: list[str] = []
    for stream, fields in FIELDS.items():
        names = ", ".join(f'"{name}"' for name in ("id", *fields))
        found = target.query(f'select {names} from "{stream}" where {merge.is_live()}').to_pylist()
        rows = {row.pop("id"): row for row in found}
        words += differences(world, stream, rows)
    return words
