"""How far the readers of an event store are behind, measured."""

from __future__ import annotations

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.events.store import EventStore

DEFAULT = "default"
"""The name, in metrics, of the store that no connection names."""


def measure_store(store: EventStore, name: str) -> None:
    """Send where a store's end is, and how many events are behind each consumer's place; costs two queries.

    :param name: the store's connection, empty for the default one.
    :raises EventStoreError: it cannot be asked.
    """
    last_seq = store.last_seq()
    metrics.LAST_SEQ.set(last_seq, store=name or DEFAULT)
    for consumer in store.consumers():
        metrics.LAG.set(max(0, last_seq - consumer.seq), store=name or DEFAULT, consumer=consumer.name)
