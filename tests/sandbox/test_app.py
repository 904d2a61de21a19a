from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from support.sandboxes import ApiCaller
from support.waiting import wait_until

SEARCH = "search/time_entries$"


def test_answers_have_toggl_s_headers_and_the_sandbox_s_date(toggl: ApiCaller) -> None:
    answer = toggl.get("/me")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["Server"] == "nginx"
    assert answer.headers["X-Service-Level"] == "GREEN"
    assert answer.headers["Date"] == "Tue, 10 Mar 2026 12:00:00 GMT"
    assert answer.headers["Cache-Control"].startswith("no-cache")


def test_the_date_moves_with_the_sandbox_s_clock(toggl: ApiCaller) -> None:
    toggl.sandbox.advance(86_400.5)
    assert toggl.get("/me").headers["Date"] == "Wed, 11 Mar 2026 12:00:00 GMT"


def test_reports_have_no_cache_control_and_refusals_no_service_level(toggl: ApiCaller) -> None:
    assert "Cache-Control" not in toggl.search().headers
    assert "X-Service-Level" not in toggl.get("/nowhere").headers


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !!!", "Basic Zm9v", "Bearer abc", "Basic " + base64.b64encode(b"\xff:x").decode()],
)
def test_a_request_without_good_credentials_is_answered_401_with_nothing(
    toggl: ApiCaller, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = requests.get(toggl.url + "/api/v9/me", headers=headers, timeout=30)
    assert (answer.status_code, answer.content) == (401, b"")
    assert "Content-Type" not in answer.headers


def test_a_wrong_token_is_answered_403_where_that_is_set_and_by_reports(toggl: ApiCaller) -> None:
    stranger = ApiCaller(toggl.sandbox, token="f" * 32)
    refused = stranger.search()
    assert (refused.status_code, refused.text) == (403, "Incorrect username and/or password")
    assert refused.headers["Content-Type"].startswith("text/plain")
    toggl.sandbox.set(wrong_token_status=403)
    assert stranger.get("/me").status_code == 403
    stranger.close()


def test_the_token_goes_with_the_word_api_token_only(toggl: ApiCaller) -> None:
    toggl.session.auth = (toggl.sandbox.token, "other")
    assert toggl.get("/me").status_code == 401


def test_an_email_goes_with_the_sandbox_s_password(toggl: ApiCaller) -> None:
    toggl.session.auth = (toggl.world.owner.email, toggl.world.settings.password)
    assert toggl.get("/me").json()["id"] == toggl.world.owner.id


def test_each_user_has_a_token(toggl: ApiCaller) -> None:
    other = next(user for user in toggl.world.users.values() if user.id != toggl.world.owner.id)
    caller = ApiCaller(toggl.sandbox, token=other.token)
    assert caller.get("/me").json()["id"] == other.id
    caller.close()


def test_an_unknown_path_is_404_and_an_unknown_method_405_both_as_json_texts(toggl: ApiCaller) -> None:
    assert (toggl.get("/nowhere").status_code, toggl.get("/nowhere").json()) == (404, "Not Found")
    answer = toggl.call("GET", f"/reports/api/v3/workspace/{toggl.sandbox.workspace_id}/search/time_entries")
    assert (answer.status_code, answer.json()) == (405, "Method Not Allowed")


def test_a_trailing_slash_is_taken(toggl: ApiCaller) -> None:
    assert toggl.get("/me/").status_code == 200


def test_a_workspace_of_others_is_refused_in_the_words_of_each_api(toggl: ApiCaller) -> None:
    assert toggl.get("/workspaces/1/projects").status_code == 403
    report = toggl.call("POST", "/reports/api/v3/workspace/1/search/time_entries", {"start_date": "2026-01-01"})
    assert (report.status_code, report.json()) == (403, "Workspace not found/accessible")
    organization = toggl.get("/organizations/1")
    assert (organization.status_code, organization.json()) == (404, "Invalid organization ID")
    assert toggl.get("/organizations/1/groups").status_code == 403


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_needs_the_content_type_json(toggl: ApiCaller, content_type: str) -> None:
    url = f"{toggl.url}/api/v9/workspaces/{toggl.sandbox.workspace_id}/tags"
    answer = toggl.session.post(url, data=b'{"name": "x"}', headers={"Content-Type": content_type}, timeout=30)
    assert (answer.status_code, answer.json()) == (400, "Content-Type must be application/json")


def test_the_quota_is_in_every_counted_answer_and_refuses_when_used_up(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True, user_quota=2, quota_window_seconds=90)
    left = [(toggl.get("/me").headers["X-Toggl-Quota-Remaining"]) for _ in range(2)]
    refused = toggl.get("/me")
    assert left == ["1", "0"]
    assert refused.status_code == 402
    assert refused.headers["Content-Type"].startswith("text/plain")
    assert refused.headers["X-Toggl-Quota-Resets-In"] == "90"
    assert refused.text == "You have hit your hourly limit for API calls. Your quota will reset in 90 seconds."
    assert toggl.get("/workspaces/{ws}").headers["X-Toggl-Quota-Remaining"] == "29"


def test_moving_the_clock_past_the_window_gives_the_quota_back(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True, user_quota=1)
    assert [toggl.get("/me").status_code for _ in range(2)] == [200, 402]
    toggl.sandbox.advance(3600)
    assert toggl.get("/me").status_code == 200


def test_without_a_quota_no_header_speaks_of_it(toggl: ApiCaller) -> None:
    assert [name for name in toggl.get("/me").headers if "quota" in name.lower()] == []


def test_refused_and_public_requests_are_not_counted(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    stranger = ApiCaller(toggl.sandbox, token="f" * 32)
    for answer in (stranger.get("/me"), toggl.get("/status"), toggl.get("/nowhere"), toggl.get("/workspaces/1")):
        assert "X-Toggl-Quota-Remaining" not in answer.headers
    stranger.close()
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "29"


def test_a_request_that_toggl_refuses_for_its_content_is_counted(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    assert toggl.report("search/time_entries", {}).headers["X-Toggl-Quota-Remaining"] == "29"


def test_the_two_meanings_of_402_differ_in_the_remaining_quota(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    refused = toggl.report("filters/tasks/status", {"ids": [1]})
    assert refused.status_code == 402
    assert refused.json() == "Tasks are a premium feature"
    assert int(refused.headers["X-Toggl-Quota-Remaining"]) > 0


def test_a_full_bucket_answers_429_as_nginx_does_and_charges_no_quota(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True, bucket_enforced=True)
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "29"
    refused = toggl.get("/me")
    assert refused.status_code == 429
    assert refused.headers["Content-Type"] == "text/html"
    assert "<title>429 Too Many Requests</title>" in refused.text
    assert "Retry-After" not in refused.headers
    toggl.sandbox.advance(1)
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "28"


def test_a_429_may_have_retry_after(toggl: ApiCaller) -> None:
    toggl.sandbox.set(bucket_enforced=True, bucket_rate=0.25, retry_after=True)
    toggl.get("/me")
    assert toggl.get("/me").headers["Retry-After"] == "4"


def test_the_bucket_is_one_for_each_token(toggl: ApiCaller) -> None:
    toggl.sandbox.set(bucket_enforced=True)
    other = next(user for user in toggl.world.users.values() if user.id != toggl.world.owner.id)
    caller = ApiCaller(toggl.sandbox, token=other.token)
    assert [toggl.get("/me").status_code, caller.get("/me").status_code] == [200, 200]
    caller.close()


def test_a_status_fault_sets_the_answer_and_charges_the_quota(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    toggl.sandbox.fault("status", status=503, headers={"Retry-After": "7"}, times=1)
    broken = toggl.get("/me")
    assert (broken.status_code, broken.headers["Retry-After"]) == (503, "7")
    assert broken.headers["X-Toggl-Quota-Remaining"] == "29"
    assert "503 Service Temporarily Unavailable" in broken.text
    assert toggl.get("/me").status_code == 200


def test_a_status_fault_before_the_quota_charges_nothing(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    toggl.sandbox.fault("status", status=502, before_quota=True)
    assert "X-Toggl-Quota-Remaining" not in toggl.get("/me").headers
    assert toggl.get("/me").headers["X-Toggl-Quota-Remaining"] == "29"


@pytest.mark.parametrize(("takes_effect", "made"), [(False, 0), (True, 1)])
def test_a_failed_write_may_or_may_not_have_taken_effect(toggl: ApiCaller, takes_effect: bool, made: int) -> None:
    toggl.sandbox.fault("status", status=500, body={"why": "no"}, takes_effect=takes_effect)
    answer = toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"})
    assert (answer.status_code, answer.json()) == (500, {"why": "no"})
    assert sum(1 for tag in toggl.world.tags.values() if tag.name == "brand new") == made


def test_a_cut_body_ends_the_connection_before_the_promised_length(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("cut", fraction=0.5, match={"path": SEARCH})
    with pytest.raises(requests.exceptions.RequestException):
        toggl.search()
    assert toggl.search().status_code == 200


@pytest.mark.parametrize(("takes_effect", "made"), [(False, 0), (True, 1)])
def test_a_connection_can_end_without_an_answer_before_or_after_the_write(
    toggl: ApiCaller, takes_effect: bool, made: int
) -> None:
    toggl.sandbox.fault("hang_up", takes_effect=takes_effect, match={"method": "POST"})
    with pytest.raises(requests.exceptions.ConnectionError):
        toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"})
    assert sum(1 for tag in toggl.world.tags.values() if tag.name == "brand new") == made
    assert toggl.sandbox.requests()["by_status"] == {"444": 1}


def test_a_write_can_be_carried_out_when_its_connection_has_long_ended(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("hang_up", late_seconds=0.3)
    with pytest.raises(requests.exceptions.ConnectionError):
        toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"})
    assert toggl.world.tag_by_name("brand new") is None
    wait_until(lambda: toggl.world.tag_by_name("brand new"))


def test_a_slow_answer_does_not_keep_others_waiting(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("slow", seconds=1, match={"path": "/me/id"})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(requests.get, toggl.url + "/api/v9/me/id", auth=toggl.session.auth, timeout=30)
        assert toggl.get("/me").status_code == 200
        assert not slow.done()
        assert slow.result().status_code == 200


def test_a_page_that_is_not_json_has_the_status_of_success(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("not_json")
    answer = toggl.search()
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_fields_are_dropped_and_set_in_what_goes_out_and_not_in_the_world(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("drop_field", field="time_entries.seconds")
    assert "seconds" not in toggl.search().json()[0]["time_entries"][0]
    assert "seconds" in toggl.search().json()[0]["time_entries"][0]
    toggl.sandbox.fault("set_field", field="surprise", value={"x": 1}, row=0)
    first, second = toggl.get("/me/projects").json()[:2]
    assert (first["surprise"], "surprise" in second) == ({"x": 1}, False)


def test_a_short_page_whose_headers_know_of_it_loses_no_row(toggl: ApiCaller) -> None:
    whole = toggl.search_all(page_size=50)
    toggl.sandbox.fault("short_page", drop_rows=7, times=None, match={"path": SEARCH})
    short = toggl.search(page_size=50)
    assert (len(short.json()), short.headers["X-Next-Row-Number"]) == (43, "44")
    assert toggl.search_all(page_size=50) == whole


def test_a_short_page_that_keeps_its_headers_loses_rows(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("short_page", drop_rows=7, keep_next=True)
    short = toggl.search(page_size=50)
    assert (len(short.json()), short.headers["X-Next-Row-Number"]) == (43, "51")


def test_other_lists_become_shorter_too_also_in_an_envelope(toggl: ApiCaller) -> None:
    toggl.sandbox.fault("short_page", drop_rows=2, times=2)
    assert len(toggl.get("/workspaces/{ws}/projects").json()) == 23
    tasks = toggl.get("/workspaces/{ws}/tasks").json()
    assert (len(tasks["data"]), tasks["total_count"]) == (28, 30)


def test_every_request_is_logged_without_its_token(toggl: ApiCaller) -> None:
    toggl.sandbox.reset_requests()
    toggl.search(page_size=1)
    toggl.get("/me", with_related_data="false")
    toggl.get("/workspaces/{ws}")
    shown = toggl.sandbox.requests()
    assert shown["total"] == 3
    assert shown["by_lane"] == {"user": 1, "organization": 2, "none": 0}
    assert shown["by_endpoint"]["GET /api/v9/workspaces/{workspace_id}"] == 1
    assert shown["calls"][0]["body"]["page_size"] == 1
    assert shown["calls"][1]["query"] == "with_related_data=false"
    assert toggl.sandbox.token not in json.dumps(shown)
    assert len({call["token_digest"] for call in shown["calls"]}) == 1
