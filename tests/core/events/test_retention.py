from __future__ import annotations

from datetime import timedelta

import pytest
from support.event_stores import RECEIVED, StoreLocation, new_event
from support.fakes import FakeClock

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.retention import parse_age, prune_older


@pytest.mark.parametrize(
    ("text", "age"),
    [("36h", timedelta(hours=36)), ("30d", timedelta(days=30)), (" 4w ", timedelta(weeks=4)), ("24h", timedelta(1))],
)
def test_an_age_is_a_number_of_hours_days_or_weeks(text: str, age: timedelta) -> None:
    assert parse_age(text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "3m", "1d2h", "٣d", "9999999d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no age"):
        parse_age(text)


@pytest.mark.parametrize("text", ["0d", "23h"])
def test_what_toggl_may_still_send_again_must_be_kept(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a day at least"):
        parse_age(text)


def test_what_is_older_is_removed_in_several_transactions(place: StoreLocation) -> None:
    clock = FakeClock(RECEIVED.timestamp() + 86400)
    with place.open() as store:
        store.append([new_event(number, received_at=RECEIVED - timedelta(seconds=1)) for number in range(1, 11)])
        store.append([new_event(number) for number in range(11, 14)])
        assert prune_older(store, timedelta(days=1), clock=clock, limit=4) == 10
        assert [stored.seq for stored in store.read(0)] == [11, 12, 13]
        assert len(clock.slept) == 2
