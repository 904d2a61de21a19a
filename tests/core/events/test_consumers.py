from __future__ import annotations

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError, EventNotFound
from airflow_provider_toggl.core.events.consumers import check_name, check_place


@pytest.mark.parametrize("name", ["a", "dag.task", "Ünïcode 設計", "x" * 250])
def test_a_printable_name_is_good(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "\t", "a\u0000b", "\ud800", "x" * 251])
def test_any_other_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        check_name(name)


@pytest.mark.parametrize("seq", [0, 4, 5])
def test_a_place_up_to_the_last_is_good(seq: int) -> None:
    check_place(seq, 5)


@pytest.mark.parametrize("seq", [-1, 6])
def test_any_other_place_is_refused(seq: int) -> None:
    with pytest.raises(EventNotFound):
        check_place(seq, 5)
