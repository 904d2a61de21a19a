from __future__ import annotations

import pytest

from airflow_provider_toggl.core.webhooks.log_once import UnexpectedErrors


def raise_and_log(errors: UnexpectedErrors, text: str) -> str:
    try:
        int(text)
    except ValueError as error:
        return errors.log_once(error)
    return ""


def test_an_error_is_logged_once_with_its_stack_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    errors = UnexpectedErrors()
    assert {raise_and_log(errors, "private text") for _ in range(1000)} == {"ValueError"}
    assert len(caplog.records) == 1
    assert "test_log_once.py" in caplog.text
    assert "private" not in caplog.text
    errors.log_once(KeyError("private"))
    assert len(caplog.records) == 2
    assert "KeyError" in caplog.text
