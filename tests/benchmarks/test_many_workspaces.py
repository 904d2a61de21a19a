from __future__ import annotations

import pytest
import requests
from support.repository import load_benchmark
from support.sandboxes import AppServer

many = load_benchmark("harness/many_workspaces")


@pytest.mark.parametrize(("sent", "seconds"), [(1, 0), (2, 0.5), (25, 12), (26, 100), (50, 112), (51, 200)], ids=str)
def test_the_least_time_is_that_of_full_windows_and_of_the_pace_in_the_last_one(sent: int, seconds: float) -> None:
    assert many.Scenario(quota=25 + many.RESERVE, window=100.0, rate=2.0).min_seconds(sent) == seconds


def test_workspaces_of_one_token_share_its_quota_and_those_of_another_token_do_not() -> None:
    toggl = many.ManyWorkspaces(many.Scenario(tokens=2, workspaces_per_token=2, pages=1, quota=3, rate=1e6))

    def request(token: str, number: int) -> int:
        path = f"/api/v9/workspaces/{toggl.tokens[token][number].workspace.id}/tags"
        return requests.get(server.url + path, auth=(token, "api_token"), timeout=30).status_code

    one, other = toggl.tokens
    with AppServer(toggl) as server:
        assert [request(one, number) for number in (0, 1, 0, 1)] == [200, 200, 200, 402]
        assert request(other, 0) == 200
    assert [call["status"] for call in toggl.calls(other)] == [200]
