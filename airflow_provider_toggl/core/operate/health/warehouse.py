"""How fresh streams are by what the warehouse itself says; opened only where somebody asks for that."""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_toggl.core.load.session import instants_of
from airflow_provider_toggl.core.load.target import Target
from airflow_provider_toggl.core.operate.health.facts import Health, StreamFreshness

_FIND = 'select "stream", "scope", "watermark", "last_run_at" from "sync_state" order by "stream", "scope"'


def read_streams(target: Target, health: Health, warehouse: str) -> Health:
    """Return health with the streams that a warehouse has, in place of those that tasks have noted.

    :param warehouse: connection and schema, as they are shown.
    """
    found = target.query(_FIND)
    names = [found[name].to_pylist() for name in ("stream", "scope")]
    moments = [instants_of(found[name]) for name in ("watermark", "last_run_at")]
    events = {one.stream: one.event_at for one in health.streams}
    streams = tuple(
        StreamFreshness(stream, int(scope), watermark, ran_at, events.get(stream), warehouse)
        for stream, scope, watermark, ran_at in zip(*names, *moments, strict=True)
        # Others are cursors: of the event store, of reconciliation.
        if str(scope).isdecimal()
    )
    return replace(health, streams=streams)
