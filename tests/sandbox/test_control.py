from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller, build_still_world

from airflow_provider_toggl.sandbox.server import ControlRefused


def test_the_truth_of_an_unknown_stream_is_an_error_that_names_the_streams(toggl: ApiCaller) -> None:
    with pytest.raises(ControlRefused, match=r"400: .*No such stream: invoices\. Streams: time_entries"):
        toggl.sandbox.truth("invoices")


def test_mutations_are_returned_and_visible_in_the_truth(toggl: ApiCaller) -> None:
    before = toggl.sandbox.truth("time_entries")
    done = toggl.sandbox.mutate(seed=5, n=20, kinds=["late_edit", "delete_entry"])
    assert len(done) == 20
    assert {one["kind"] for one in done} <= {"late_edit", "delete_entry"}
    assert toggl.sandbox.truth("time_entries") != before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"seed": 1, "n": -1}, "n from 0"),
        ({"seed": "x", "n": 1}, "integers"),
        ({"n": 1, "kinds": "late_edit"}, "list of texts"),
        ({"n": 1, "kinds": ["no such kind"]}, "no such kind"),
        ({"n": 1, "count": 3}, "Unknown fields: count"),
        ([1], "must be a JSON object"),
    ],
)
def test_a_mutation_that_is_not_understood_says_why(toggl: ApiCaller, body: Any, message: str) -> None:
    with pytest.raises(ControlRefused, match=message):
        toggl.sandbox.control("POST", "mutate", body)


def test_the_clock_advances_by_the_given_seconds(toggl: ApiCaller) -> None:
    assert toggl.sandbox.control("POST", "clock", {"advance_seconds": 60.5})["now"] == "2026-03-10T12:01:00.750000Z"
    assert toggl.sandbox.control("GET", "clock")["offset_seconds"] == 60.5


@pytest.mark.parametrize("seconds", [-1, "1", None, True, 1e12])
def test_the_clock_takes_nothing_else(toggl: ApiCaller, seconds: Any) -> None:
    with pytest.raises(ControlRefused, match="advance_seconds"):
        toggl.sandbox.control("POST", "clock", {"advance_seconds": seconds})


def test_the_control_api_s_own_requests_are_not_counted(toggl: ApiCaller) -> None:
    toggl.sandbox.health()
    toggl.sandbox.truth("tags")
    assert toggl.sandbox.requests()["total"] == 0


def test_resetting_the_counts_leaves_the_quota_and_resetting_the_quota_the_counts(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    toggl.get("/me")
    toggl.sandbox.reset_requests()
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "28"
    toggl.sandbox.reset_quota()
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "29"
    assert toggl.sandbox.requests()["total"] == 2


def test_faults_are_armed_listed_and_cleared(toggl: ApiCaller) -> None:
    armed = toggl.sandbox.fault("slow", seconds=1, times=3)
    assert toggl.sandbox.control("GET", "faults") == [armed]
    toggl.sandbox.clear_faults()
    assert toggl.sandbox.control("GET", "faults") == []


def test_a_fault_that_is_not_understood_says_why(toggl: ApiCaller) -> None:
    with pytest.raises(ControlRefused, match="kind must be one of"):
        toggl.sandbox.fault("fire")


def test_settings_are_read_and_changed_all_or_none(toggl: ApiCaller) -> None:
    assert toggl.sandbox.control("GET", "settings")["plan"] == "free"
    assert toggl.sandbox.set(plan="premium", largest_page_size=5)["largest_page_size"] == 5
    with pytest.raises(ControlRefused, match="plan must be one of"):
        toggl.sandbox.set(largest_page_size=9, plan="gold")
    assert toggl.sandbox.control("GET", "settings")["largest_page_size"] == 5


def test_a_changed_setting_counts_for_a_report_that_was_asked_before(toggl: ApiCaller) -> None:
    running = [row for row in toggl.search_all() if row["time_entries"][0]["stop"] is None]
    toggl.sandbox.set(report_includes_running=False)
    left = [row for row in toggl.search_all() if row["time_entries"][0]["stop"] is None]
    assert len(left) < len(running)


def test_the_rounding_of_the_workspace_can_be_changed(toggl: ApiCaller) -> None:
    toggl.sandbox.control("PATCH", "workspace", {"rounding": 1, "rounding_minutes": 15})
    seconds = [one["seconds"] for row in toggl.search_all() for one in row["time_entries"] if one["stop"]]
    assert all(value % 900 == 0 for value in seconds)
    with pytest.raises(ControlRefused, match="rounding is"):
        toggl.sandbox.control("PATCH", "workspace", {"rounding_minutes": 7})


def test_rights_and_zone_of_a_user_can_be_changed(toggl: ApiCaller) -> None:
    user = next(one for one in toggl.world.users.values() if not one.is_admin)
    shown = toggl.sandbox.change_user(user.id, is_admin=True, timezone="Asia/Tokyo", inactive=True)
    assert (shown["id"], shown["is_admin"], shown["timezone"], shown["inactive"]) == (user.id, True, "Asia/Tokyo", True)
    assert toggl.sandbox.change_user(is_admin=False)["id"] == toggl.world.owner.id


@pytest.mark.parametrize(
    ("user_id", "fields", "message"),
    [
        (5, {"is_admin": True}, "No such user: 5"),
        ("someone", {}, "No such user: someone"),
        ("owner", {"timezone": "Mars/Olympus"}, "No such time zone: Mars/Olympus"),
        ("owner", {"is_admin": 1}, "true or false"),
        ("owner", {"name": "x"}, "Unknown fields: name"),
    ],
)
def test_a_malformed_change_of_a_user_is_refused_with_the_reason(
    toggl: ApiCaller, user_id: Any, fields: dict[str, Any], message: str
) -> None:
    version = toggl.world.version
    with pytest.raises(ControlRefused, match=message):
        toggl.sandbox.change_user(user_id, **fields)
    assert toggl.world.version == version


def test_a_body_that_is_not_json_is_an_error(toggl: ApiCaller) -> None:
    answer = toggl.session.post(toggl.url + "/sandbox/mutate", data=b"{", timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "The body is not JSON."})


def test_its_health_says_whose_token_it_takes(toggl: ApiCaller) -> None:
    health = toggl.sandbox.health()
    assert (health["status"], health["token"]) == ("ok", toggl.world.owner.token)
    assert health["time_entries"] == 300


def test_the_documents_name_every_kind_of_mutation_and_fault_and_every_path() -> None:
    from support.repository import ROOT

    from airflow_provider_toggl.sandbox.control import Sandbox, routes
    from airflow_provider_toggl.sandbox.faults import KINDS as FAULTS
    from airflow_provider_toggl.sandbox.mutate import KINDS as MUTATIONS

    text = (ROOT / "docs" / "sandbox.md").read_text()
    world = build_still_world(entries=0)
    paths = {route.path for route in routes(Sandbox.around(world, world.settings))}
    assert [name for name in (*MUTATIONS, *FAULTS) if f"`{name}`" not in text] == []
    assert [path for path in paths if path not in text] == []
