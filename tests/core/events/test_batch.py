from __future__ import annotations

import pytest
from support.event_stores import new_event

from airflow_provider_toggl.core.events.batch import build_event_batch
from airflow_provider_toggl.core.events.model import StoredEvent

STORED = [
    StoredEvent(seq, new_event(seq, body=b'{"event_id":%d,"subscription_id":10713}' % seq)) for seq in (3, 4, 8, 9)
]


def test_each_event_has_its_message() -> None:
    batch = build_event_batch(STORED)
    assert (batch.first_seq, batch.last_seq) == (3, 9)
    assert [message.event_id for message in batch.messages] == [3, 4, 8, 9]


@pytest.mark.parametrize(("place", "left"), [(0, 4), (2, 4), (3, 3), (5, 2), (8, 1)])
def test_what_is_after_a_place_is_a_batch_too(place: int, left: int) -> None:
    batch = build_event_batch(STORED).after(place)
    assert batch == build_event_batch(STORED[-left:])


def test_all_of_it_is_the_same_object() -> None:
    batch = build_event_batch(STORED)
    assert batch.after(2) is batch


def test_an_event_that_cannot_be_read_says_so_and_no_more() -> None:
    (message,) = build_event_batch([StoredEvent(1, new_event(5, body=b"{"))]).messages
    assert (message.event_id, message.subscription_id, message.entity, message.payload) == (5, 10713, None, {})
    assert message.anomaly == "unreadable: The body is not JSON."
