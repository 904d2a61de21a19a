from __future__ import annotations

import pytest

from airflow_provider_toggl.cli.waits import announce_wait
from airflow_provider_toggl.core.client.session import WAIT_REASONS


@pytest.mark.parametrize("reason", WAIT_REASONS)
def test_a_wait_of_a_command_is_said_with_its_end_on_standard_error(reason: str, capsys: pytest.CaptureFixture[str]):
    with announce_wait(reason, 1_780_000_000.0, 3):
        said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"Waiting for {WAIT_REASONS[reason]} until 20:26:40 UTC.\n"
