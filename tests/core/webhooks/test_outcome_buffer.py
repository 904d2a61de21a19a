from __future__ import annotations

from datetime import timedelta

from support.event_stores import RECEIVED

from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery
from airflow_provider_toggl.core.webhooks.outcome_buffer import MOST_REASONS, Notebook

LATER = RECEIVED + timedelta(seconds=3)


def test_it_is_empty_until_something_comes_and_after_it_was_taken() -> None:
    notebook = Notebook()
    assert not notebook
    notebook.count("mine", "stored")
    assert notebook
    assert notebook.take(LATER) == {"mine": DeliveryCounts(LATER, {("mine", "stored"): 1}, ())}
    assert (bool(notebook), notebook.take(LATER)) == (False, {})


def test_refusals_of_one_reason_are_one() -> None:
    notebook = Notebook()
    for at, size in ((RECEIVED, 10), (LATER, 20)):
        notebook.count("mine", "unsigned")
        notebook.refuse("mine", "unsigned", "No signature.", at=at, size=size)
    (received,) = notebook.take(LATER).values()
    assert received.counts == {("mine", "unsigned"): 2}
    assert received.refused == (RefusedDelivery("mine", "unsigned", "No signature.", 2, RECEIVED, LATER, 20),)


def test_a_flood_of_reasons_is_cut_and_counted_all_the_same() -> None:
    notebook = Notebook()
    for number in range(1000):
        notebook.count("mine", "malformed")
        notebook.refuse("mine", "malformed", f"reason {number}", at=RECEIVED, size=None)
    (received,) = notebook.take(LATER).values()
    assert (len(received.refused), received.counts) == (MOST_REASONS, {("mine", "malformed"): 1000})
