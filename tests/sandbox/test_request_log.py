from __future__ import annotations

from airflow_provider_toggl.sandbox.request_log import MOST_KEPT, RequestLog


def call(lane: str = "user", status: int = 200) -> dict[str, object]:
    return {"lane": lane, "status": status, "path": "/api/v9/me"}


def test_requests_are_counted_by_endpoint_lane_and_status() -> None:
    log = RequestLog()
    log.add("GET /me", call())
    log.add("GET /me", call(status=402))
    log.add("POST /x", call("organization"))
    shown = log.as_dict()
    assert shown["total"] == 3
    assert shown["by_endpoint"] == {"GET /me": 2, "POST /x": 1}
    assert shown["by_lane"] == {"user": 2, "organization": 1, "none": 0}
    assert shown["by_status"] == {"200": 2, "402": 1}
    assert len(shown["calls"]) == 3


def test_a_reset_empties_the_log() -> None:
    log = RequestLog()
    log.add("GET /me", call())
    log.reset()
    assert log.as_dict() == {
        "total": 0,
        "by_endpoint": {},
        "by_lane": {"user": 0, "organization": 0, "none": 0},
        "by_status": {},
        "calls": [],
    }


def test_the_counts_go_on_when_the_oldest_calls_are_forgotten() -> None:
    log = RequestLog()
    for status in range(MOST_KEPT + 5):
        log.add("GET /me", call(status=status))
    shown = log.as_dict()
    assert shown["total"] == MOST_KEPT + 5
    assert [shown["calls"][0]["status"], len(shown["calls"])] == [5, MOST_KEPT]
