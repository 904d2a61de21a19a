"""Everything one running sandbox holds: the world, and what stands between it and who asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_toggl.sandbox.faults import FaultBook
from airflow_provider_toggl.sandbox.gate import Gate
from airflow_provider_toggl.sandbox.requests_log import RequestsLog
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.world import World


@dataclass
class Sandbox:
    """One sandbox: its world, settings, gate, faults, log, and what the reports keep between pages."""

    world: World
    settings: Settings
    gate: Gate
    faults: FaultBook = field(default_factory=FaultBook)
    log: RequestsLog = field(default_factory=RequestsLog)
    caches: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def around(cls, world: World, settings: Settings) -> Sandbox:
        """Build a sandbox around a world."""
        return cls(world, settings, Gate(settings, lambda: world.now().timestamp()))
