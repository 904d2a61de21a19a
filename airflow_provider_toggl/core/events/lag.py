"""How far the readers of an event store are behind, measured."""

from __future__ import annotations

import logging

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.store import EventStore

log = logging.getLogger(__name__)

DEFAULT_STORE = "default"
"""The name, in metrics, of the store that no connection names."""


def measure_store(store: EventStore, name: str) -> None:
    """Send where a store's end is, and how many events are behind each consumer's place; costs two queries.

    Tells nothing where the store cannot be asked: whoever works with it will hear of that.

    :param name: the store's connection, empty for the default one.
    """
    try:
        last_seq, consumers = store.last_seq(), store.consumers()
    except EventStoreError as error:
        log.debug("The event store cannot be measured: %s", error)
        return
    metrics.LAST_SEQ.set(last_seq, store=name or DEFAULT_STORE)
    for consumer in consumers:
        metrics.LAG.set(max(0, last_seq - consumer.seq), store=name or DEFAULT_STORE, consumer=consumer.name)
