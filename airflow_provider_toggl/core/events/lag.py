"""Metrics of an event store: its last number, and how far its consumers are behind."""

from __future__ import annotations

import logging

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.store import EventStore

log = logging.getLogger(__name__)

DEFAULT_STORE = "default"
"""The name, in metrics, of the store that no connection names."""


def measure_store(store: EventStore, name: str) -> None:
    """Send the last ``seq`` of a store, and how many events each consumer has yet to read; costs two queries.

    Sends nothing where the store cannot be used: its other callers report that.

    :param name: the store's connection, empty for the default one.
    """
    try:
        last_seq, consumers = store.last_seq(), store.consumers()
    except EventStoreError as error:
        log.debug("No metrics of the event store: %s", error)
        return
    metrics.LAST_SEQ.set(last_seq, store=name or DEFAULT_STORE)
    for consumer in consumers:
        metrics.LAG.set(max(0, last_seq - consumer.seq), store=name or DEFAULT_STORE, consumer=consumer.name)
