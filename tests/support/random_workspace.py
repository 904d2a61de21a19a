"""A workspace with a random history: changes, deliveries, pulls and reconciliations, and every kind of fault.

The seed alone decides what happens. In the end, one reconciliation must bring the warehouse to the truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.pulls import STREAMS, Workspace
from support.sandboxes import SandboxHost, build_still_world
from support.servers.receivers import ReceiverThread
from support.webhook_stream import WebhookStream, warehouse_differences

from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.run import Reconcile
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest
from airflow_provider_toggl.core.sync.pull import Pull
from airflow_provider_toggl.sandbox.mutate import KINDS, mutate
from airflow_provider_toggl.sandbox.workspace.truth import truth

OpenWarehouse = Callable[[], Warehouse]

ZONES = ("Europe/Berlin", "America/New_York", "Pacific/Auckland", "UTC", "Asia/Kolkata")
LISTS = tuple(stream for stream in STREAMS if stream != "time_entries")
#: Nothing in the workspace is earlier than this day.
SINCE = "2022-01-01"


class Killed(BaseException):
    """Ends a run as a killed process does."""


def settings_of(chance: random.Random) -> dict[str, Any]:
    """Draw settings for what Toggl leaves undocumented."""
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
    """One workspace, its receiver and its warehouse.

    :param open_warehouse: opens the warehouse, as a task does.
    """

    host: SandboxHost
    receiver: ReceiverThread
    folder: Path
    open_warehouse: OpenWarehouse
    seed: int
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        settings = settings_of(self.chance)
        self.world = build_still_world(entries=self.chance.choice((40, 90, 150)), days=40, **settings)
        self.world.change_user(self.world.owner, timezone=self.chance.choice(ZONES))
        self.toggl = self.host.serve(self.world)
        self.workspace = Workspace(self.toggl, self.folder / "unused.duckdb")
        self.stream = WebhookStream(self.world, self.seed, subscriptions=1 + self.seed % 2)
        self.events = self.folder / "events.sqlite"
        with SqliteEventStore(self.events) as store:
            store.prepare()
        self.receiver.receive_into(self.events)
        self.in_transit: list[bytes] = []
        self.record(str(settings))

    # -- history ------------------------------------------------------------------------------------------------------

    def live(self, steps: int) -> None:
        """Run random steps."""
        kinds: dict[Callable[[], None], float] = {
            self.change: 10,
            self.deliver: 8,
            self.drain: 5,
            self.pull: 5,
            self.reconcile_with_interruption: 3,
            self.pass_time: 4,
            self.inject_fault: 6,
            self.change_rights_or_zone: 2,
        }
        for _ in range(steps):
            (act,) = self.chance.choices(list(kinds), list(kinds.values()))
            self.record(act.__name__)
            act()

    def settle(self) -> ReconcileSummary:
        """End all faults, let time pass, pull the lists and reconcile once; lost deliveries stay lost.

        Some entry runs at the end: where no report shows one, a running entry that is missing stays.
        """
        self.toggl.clear_faults()
        self.world.change_user(self.world.owner, is_admin=True)
        self.world.settings.update({"retention_days": None})
        mutate(self.world, seed=self.seed, n=1, kinds=["start"])
        self.world.advance(8 * 86_400)
        for stream in LISTS:
            self.run(stream, absent_share=1.0)
        return self.reconcile(rules=DeletionRules(allow_mass=True))

    def wrong(self) -> list[str]:
        """Return how the live rows of the warehouse differ from the truth."""
        with self.open_warehouse() as target:
            words = warehouse_differences(self.world, target)
        # Entries that were moved to before the first day are not read.
        before = [row["id"] for row in truth(self.world, "time_entries") if row["start"] < SINCE]
        return [word for word in words if not any(str(id_) in word for id_ in before)]

    def record(self, words: str) -> None:
        """Record a step, to explain the failure of a seed."""
        self.history.append(words)

    # -- steps ---------------------------------------------------------------------------------------------

    def change(self) -> None:
        """Make random changes, whatever the rights of the token's owner."""
        owner = self.world.owner
        may, owner.is_admin = owner.is_admin, True
        mutate(self.world, seed=self.chance.randrange(1_000_000), n=self.chance.choice((1, 5, 30)), kinds=list(KINDS))
        owner.is_admin = may

    def deliver(self) -> None:
        """Deliver events: late, duplicated, out of order, some never; and forged ones too."""
        bodies = [event.body for event in self.stream.deliveries(lateness=20.0)]
        lost = self.chance.choice((0.0, 0.1, 0.5, 1.0))
        self.in_transit += [body for body in bodies if self.chance.random() >= lost]
        part = len(self.in_transit) if self.chance.random() < 0.5 else self.chance.randrange(len(self.in_transit) + 1)
        now, self.in_transit = self.in_transit[:part], self.in_transit[part:]
        self.receiver.clock.base = self.world.now().timestamp()
        self.receiver.clock.off = self.chance.choice((0.0, 0.0, 3600.0, -3600.0))
        assert set(self.receiver.deliver(now)) <= {200}
        if now and self.chance.random() < 0.3:
            assert set(self.receiver.deliver(now[:3], secret="of somebody else")) == {401}
            assert set(self.receiver.deliver([now[0][:-2]])) == {400}

    def drain(self) -> None:
        """Load the received events."""
        with SqliteEventStore(self.events) as store, self.open_warehouse() as target:
            # For a removed user, ids alone do not identify the user.
            Drain(store, target, DrainRequest("default", "model")).run()

    def pull(self) -> None:
        """Pull a stream, which may be interrupted."""
        self._try(lambda: self.run(self.chance.choice(("time_entries", *STREAMS)), **self._between()))

    def reconcile_with_interruption(self) -> None:
        """Reconcile, which may be interrupted."""
        self._try(lambda: self.reconcile(**self._between()))

    def pass_time(self) -> None:
        """Advance the clock."""
        self.world.advance(self.chance.choice((1, 60, 3_600, 90_000, 400_000)))

    def inject_fault(self) -> None:
        """Make the next answers of the sandbox faulty."""
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
        self.record(f"{kind} {order}")
        self.toggl.fault(kind, **order)

    def change_rights_or_zone(self) -> None:
        """Change the rights or zone of the token's owner, the retention of the plan, or the rounding."""
        world, chance = self.world, self.chance
        what = chance.randrange(4)
        if what == 0:
            world.change_user(world.owner, is_admin=not world.owner.is_admin)
        elif what == 1:
            world.change_user(world.owner, timezone=chance.choice(ZONES))
        elif what == 2:
            world.settings.update(
                {"retention_days": chance.choice((None, 20)), "retention_reported": chance.random() < 0.5}
            )
        else:
            self.toggl.control("PATCH", "workspace", {"rounding": chance.choice((-1, 0, 1)), "rounding_minutes": 15})

    # -- runs -------------------------------------------------------------------------------------------------------

    def run(self, stream: str, before_call: Any = None, **options: Any) -> None:
        """Pull a stream once."""
        more = {"since": SINCE, "windows_per_run": 9} if stream == "time_entries" else {}
        session = self.workspace.session(before_call=before_call)
        with self.open_warehouse() as target:
            Pull(session, target, self.workspace.request(stream, **more, **options), clock=self.workspace.clock).run()

    def reconcile(self, before_call: Any = None, **options: Any) -> ReconcileSummary:
        """Reconcile once."""
        session = self.workspace.session(before_call=before_call)
        request = ReconcileRequest(
            workspace_id=self.workspace.id, run_started=self.workspace.now(), since=SINCE, **options
        )
        with self.open_warehouse() as target:
            return Reconcile(session, target, request, clock=self.workspace.clock).run()

    def _between(self) -> dict[str, Any]:
        """Draw what interrupts a run: nothing, changes, or its death."""
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

        self.record(f"{fate} before request {at}")
        return {"before_call": before_call}

    def _try(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except TogglError as error:
            self.record(f"{type(error).__name__}: {error}")
        except Killed:
            self.record("killed")
