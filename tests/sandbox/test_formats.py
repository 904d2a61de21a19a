"""The formats of times and money."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_toggl.sandbox.formats import micros_z, units


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "2026-01-01T00:00:00Z"), (100, "2026-01-01T00:00:00.0001Z"), (999999, "2026-01-01T00:00:00.999999Z")],
)
def test_microseconds_have_no_trailing_zeros(micros: int, text: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=micros)
    assert micros_z(moment) == text


@pytest.mark.parametrize(("cents", "amount"), [(None, None), (5000, 50), (5050, 50.5)])
def test_money_is_an_integer_if_there_are_no_cents(cents: int | None, amount: float | None) -> None:
    assert units(cents) == amount
    assert type(units(cents)) is type(amount)
