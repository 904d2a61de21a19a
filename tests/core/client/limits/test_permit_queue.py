from __future__ import annotations

from airflow_provider_toggl.core.client.limits.permit_queue import (
    EXPIRY_SECONDS,
    LATE_SECONDS,
    LONGEST_SECONDS,
    QueueEntry,
    count_ahead,
    enqueue,
    remove,
    remove_expired,
)

T = 1_780_000_000.0


def queue_of(**due_in: float) -> list[QueueEntry]:
    return [QueueEntry(name, T + seconds) for name, seconds in due_in.items()]


def test_a_name_keeps_its_entry_when_it_asks_again_and_a_new_one_is_the_last() -> None:
    queue = queue_of(a=1, b=2)
    enqueue(queue, "a", T + 9)
    enqueue(queue, "c", T + 3)
    assert queue == queue_of(a=9, b=2, c=3)
    assert [count_ahead(queue, name, T) for name in ("a", "b", "c", "new")] == [0, 1, 2, 3]


def test_one_that_is_late_lets_others_pass_and_loses_its_entry_only_after_a_while() -> None:
    queue = queue_of(late=0, next=5)
    assert count_ahead(queue, "next", T + LATE_SECONDS) == 1
    assert count_ahead(queue, "next", T + LATE_SECONDS + 0.01) == 0
    assert count_ahead(queue, "new", T + LATE_SECONDS + 0.01) == 1
    remove_expired(queue, T + EXPIRY_SECONDS)
    assert [entry.name for entry in queue] == ["late", "next"]
    remove_expired(queue, T + EXPIRY_SECONDS + 0.01)
    assert [entry.name for entry in queue] == ["next"]


def test_what_is_due_later_than_anybody_waits_is_from_before_the_clock_was_set_back() -> None:
    queue = queue_of(a=0, b=1)
    remove_expired(queue, T - LONGEST_SECONDS)
    assert queue == queue_of(a=0)


def test_one_that_removes_makes_room() -> None:
    queue = queue_of(a=1, b=2)
    remove(queue, "a")
    remove(queue, "unknown")
    assert queue == queue_of(b=2)
