from __future__ import annotations

import logging

import pytest

from airflow_provider_toggl.core.webhooks.log_once import Faults


def meet(faults: Faults, text: str) -> str:
    try:
        int(text)
    except ValueError as error:
        return faults.tell(error)
    return ""


def test_a_fault_is_told_once_with_its_place_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    assert [meet(faults, "private matter") for _ in range(1000)] == ["ValueError"] * 1000
    with caplog.at_level(logging.ERROR):
        assert len(caplog.records) == 1
    assert "test_faults.py" in caplog.text
    assert "private" not in caplog.text


def test_another_fault_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    meet(faults, "x")
    faults.tell(KeyError("private"))
    assert "KeyError" in caplog.text
