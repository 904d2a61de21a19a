from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
from support.repository import ROOT
from support.sandboxes import ApiCaller, SandboxHost, build_still_world
from support.servers.http import open_callback

from airflow_provider_toggl.sandbox.control import Sandbox
from airflow_provider_toggl.sandbox.reports_v3 import detailed
from airflow_provider_toggl.sandbox.rest_v9 import workspaces
from airflow_provider_toggl.sandbox.webhooks.api import WebhookEndpoints

FOLDER = Path(os.environ.get("TOGGL_CONTRACTS") or ROOT.parent / "shared" / "toggl-swagger")
TRACK, REPORTS, WEBHOOKS = "toggl-track-api-v9.json", "toggl-reports-v3.json", "toggl-webhooks-v1.json"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no swagger files of Toggl at {FOLDER}")

# Null where the definitions do not say so. "doc": their own description or Toggl's documents say it can be absent or
# null; "rec": recorded exchanges have it; "plan": money on a plan without rates, by analogy with what was recorded.
NULLS: dict[str, dict[str, str]] = {
    "models.TimeEntry": {"doc": "stop tags tag_ids", "rec": "task_id permissions"},
    "models.Project": {"rec": "rate fixed_fee recurring_parameters permissions template_id cid"},
    "models.Task": {"rec": "permissions", "plan": "rate"},
    "models.ProjectUser": {"doc": "group_id gid", "plan": "rate_last_updated labor_cost_last_updated"},
    "models.WorkspaceUser": {
        "plan": "rate rate_last_updated labor_cost labor_cost_last_updated working_hours_in_minutes",
    },
    "models.Workspace": {
        "rec": "suspended_at default_hourly_rate rate_last_updated last_modified "
        "csv_upload subscription working_hours_in_minutes permissions",
    },
    "models.MeOrganization": {"rec": "suspended_at permissions"},
    "models.TrialInfo": {"rec": "last_pricing_plan_id trial_plan_id"},
    "models.OrgUser": {"doc": "invitation_id"},
    "me.GetQuotaResult": {"doc": "organization_id"},
    "related.UserWithRelated": {"rec": "openid_email country_id"},
    "detailed.GroupedTimeEntry": {
        "rec": "project_id task_id billable_amount_in_cents hourly_rate_in_cents",
        "doc": "description project_name project_color project_hex client_name task_name",
    },
    "detailed.SingleTimeEntry": {"doc": "stop"},
    "totals.ReportData": {"plan": "billable_amount_in_cents labour_cost_in_cents"},
    "totals.Graph": {"plan": "billable_amount_in_cents labour_cost_in_cents"},
    "summary.GroupData": {"doc": "id"},
    "dto.UserFilterResponse": {"doc": "deleted_at"},
    "model.User": {"doc": "deleted_at"},
    "dto.ProjectFilterResponse": {"doc": "client_id", "plan": "billable currency"},
    "dto.ProjectUserResponse": {"doc": "group_id", "plan": "hourly_rate labour_cost"},
    "dto.ProjectStatusResponse": {"plan": "billable_amount", "doc": "estimated_seconds"},
    "tasks.TaskStatus": {"doc": "estimated_seconds"},
    "models.WebhookSubscription": {"doc": "validated_at"},
    "models.Rate": {"doc": "deleted_at start end planned_task_id project_id project_user_id workspace_user_id"},
    "timesheetsetups.APITimesheetSetup": {"doc": "end_date"},
    "timesheets.APITimesheet": {
        "doc": "submitted_at approved_or_rejected_at approved_or_rejected_id approved_or_rejected_name",
        "plan": "working_hours_in_minutes",
    },
    "models.UserInvoice": {"doc": "deleted_at"},
    "expenses.Expense": {"doc": "trip_id deleted_at"},
}
# Keys that are sent (recorded, or read by public clients) and that the definitions do not have.
EXTRA: dict[str, set[str]] = {
    "models.TimeEntry": {"server_deleted_at"},
    "models.Project": {"server_deleted_at"},
    "models.Task": {"server_deleted_at"},
    "models.Client": {"server_deleted_at"},
    "models.Workspace": {"profile", "server_deleted_at", "only_admins_see_billable_rates"},
    "models.MeOrganization": {"server_deleted_at"},
    "related.UserWithRelated": {"toggl_accounts_id"},
}
# The same thing under several names.
SAME = {"related.TimeEntry": "models.TimeEntry", "workspace.WithActiveProjectCount": "models.Workspace"}

# Endpoints whose answer the file does not describe, or describes as a text, and what it is.
ANSWERS: dict[str, Any] = {
    "POST search/time_entries": {"type": "array", "items": {"$ref": "#/definitions/detailed.GroupedTimeEntry"}},
    "POST search/time_entries/totals": {"$ref": "#/definitions/totals.ReportData"},
    "POST summary/time_entries": {"$ref": "#/definitions/summary.ReportData"},
    # Observed: one object where the file has an array. Both are given, by a setting.
    "POST /workspaces/{}/tags": {"$ref": "#/definitions/models.Tag"},
    "PUT /workspaces/{}/tags/{}": {"$ref": "#/definitions/models.Tag"},
    # In words: periods. One, which the file has, is given by a setting.
    "GET /workspaces/{}/projects/{}/periods": {
        "type": "array",
        "items": {"$ref": "#/definitions/models.RecurringPeriod"},
    },
    # In words: the history from the stream of events. Time entries, which the file has, are given by a setting.
    "GET /workspaces/{}/timesheets/{}/{}/history": {"type": "array", "items": {"type": "object"}},
    # Captured: nine entities, where the file names three.
    "GET /event_filters": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
}
# Answered with nothing at all: "status only", or a text that nobody recorded.
EMPTY = {
    "GET /me/logged",
    "DELETE /workspaces/{}/time_entries/{}",
    "DELETE /workspaces/{}/tags/{}",
    "POST /workspaces/{}/rates",
}
# In Toggl's documents and not in the file.
NOT_IN_THE_FILE = {"GET /workspaces"}
# Documented in 2024, with no definition since.
NO_LONGER_IN_THE_FILE = {"GET /subscriptions/{}/{}/events"}


@cache
def contract(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return loaded


def short(name: str) -> str:
    """Return a definition's name without the path of Toggl's own code."""
    name = re.sub(r"^github_com_toggl_toggl_api_internal_(\w+)\.", r"models.", name)
    return SAME.get(name, name)


@cache
def schema_of(file: str, definition: str) -> dict[str, Any]:
    return strict(file, contract(file)["definitions"][definition], short(definition))


def strict(file: str, schema: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Turn a swagger schema into a JSON schema that knows no other keys and only the nulls that are written down."""
    if schema.get("$ref", "").endswith("/indexed.Indexed-summary_SubGroupData-string"):
        # An opaque object in the file; recorded, it is an array of objects.
        return {"type": "array", "items": {"type": "object"}}
    if "$ref" in schema:
        return schema_of(file, schema["$ref"].rsplit("/", 1)[1])
    if "allOf" in schema:
        return strict(file, schema["allOf"][0], name)
    if schema.get("type") == "array":
        return {"type": "array", "items": strict(file, schema["items"], name)}
    if "properties" not in schema:
        plain = {key: schema[key] for key in ("type", "enum", "format", "additionalProperties") if key in schema}
        if isinstance(plain.get("additionalProperties"), dict):
            plain["additionalProperties"] = strict(file, plain["additionalProperties"])
        return plain
    properties = {}
    for key, value in schema["properties"].items():
        own = strict(file, value)
        nullable = value.get("x-nullable") or key in " ".join(NULLS.get(name, {}).values()).split()
        properties[key] = {"anyOf": [own, {"type": "null"}]} if nullable else own
    extra: dict[str, Any] = {key: {} for key in EXTRA.get(name, ())}
    return {"type": "object", "properties": {**extra, **properties}, "additionalProperties": False}


FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    return not isinstance(value, str) or bool(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)
    )


def without_names(template: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", template)


def operations(file: str) -> dict[str, Any]:
    """Return the operations of a file by method and path without names."""
    return {
        f"{method.upper()} {without_names(path)}": operation
        for path, methods in contract(file)["paths"].items()
        for method, operation in methods.items()
    }


def endpoint_in_file(endpoint: str) -> tuple[str, str]:
    """Return which file an endpoint of the sandbox is in, and what it is called there."""
    method, path = endpoint.split(" ")
    if path.startswith("/webhooks/"):
        return WEBHOOKS, f"{method} {without_names(path.removeprefix('/webhooks/api/v1'))}"
    if path.startswith("/reports/"):
        name = path.replace("filters/tasks", "{}/tasks").replace("search/tasks", "{}/tasks")
        return REPORTS, f"{method} {without_names(path if path.endswith('/status') else name)}"
    return TRACK, f"{method} {without_names(path.removeprefix('/api/v9'))}"


def answer_schema(endpoint: str, status: int) -> dict[str, Any] | None:
    file, name = endpoint_in_file(endpoint)
    if status >= 400:
        return {"type": "string"}
    brief = name.replace("/reports/api/v3/workspace/{}/", "")
    if name in EMPTY:
        return None
    if brief in ANSWERS:
        return strict(file, ANSWERS[brief])
    schema = operations(file)[name]["responses"]["200"].get("schema")
    if schema is None:
        return None
    # Recorded: null when nothing runs.
    return {"anyOf": [strict(file, schema), {"type": "null"}]} if name.endswith("/current") else strict(file, schema)


class Checked:
    """A caller whose every answer is checked against the contract."""

    def __init__(self, toggl: ApiCaller) -> None:
        self.toggl = toggl
        self.problems: list[str] = []
        self.world = toggl.world

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Ask, check, and return the JSON of the answer."""
        base = "/api/v9"
        if path.startswith("webhooks/"):
            base, path = "/webhooks/api/v1/", path.removeprefix("webhooks/")
        elif path.startswith("report/"):
            base, path = "/reports/api/v3/workspace/{ws}/", path.removeprefix("report/")
        self.toggl.sandbox.reset_requests()
        answer = self.toggl.call(method, self.toggl.fill(base + path), body, params=query)
        (endpoint,) = self.toggl.sandbox.requests()["by_endpoint"]
        self.check(endpoint, answer)
        SEEN.add(endpoint)
        return answer.json() if answer.content else None

    def check(self, endpoint: str, answer: requests.Response) -> None:
        schema = answer_schema(endpoint, answer.status_code) if endpoint.split()[1] != "unknown" else None
        if schema is None:
            if answer.content:
                self.problems.append(f"{endpoint} answers {answer.text[:80]}, where nothing is described")
            return
        validator = jsonschema.Draft7Validator(schema, format_checker=FORMATS)
        for error in list(validator.iter_errors(answer.json()))[:5]:
            self.problems.append(f"{endpoint} {answer.status_code} {error.json_path}: {error.message[:200]}")


SEEN: set[str] = set()

RANGE = {"start_date": "2026-01-09", "end_date": "2026-03-10"}


def read_everything(to: Checked) -> None:
    world = to.world
    project = next(iter(one.id for one in world.projects.values() if one.deleted_at is None))
    client = next(iter(one.id for one in world.clients.values() if one.deleted_at is None))
    entry = next(one.id for one in world.time_entries.values() if one.user_id == world.owner.id and not one.deleted_at)
    since = int(world.now().timestamp()) - 80 * 86_400
    for path in ("", "/id", "/logged", "/quota", "/organizations", "/workspaces", "/time_entries/current"):
        to.ask("GET", "/me" + path)
    to.ask("GET", "/status")
    to.ask("GET", "/workspaces") if "GET /workspaces" not in NOT_IN_THE_FILE else None
    to.ask("GET", "/me", with_related_data="true")
    for name in ("time_entries", "projects", "projects/paginated", "clients", "tags", "tasks"):
        to.ask("GET", f"/me/{name}")
        to.ask("GET", f"/me/{name}", since=since)
    to.ask("GET", "/me/time_entries", meta="true", since=since)
    to.ask("GET", "/me/tasks", meta="true", include_not_active="true")
    to.ask("GET", f"/me/time_entries/{entry}")
    to.ask("GET", f"/me/time_entries/{entry}", meta="true")
    for path in ("", "/users", "/workspace_users", "/groups", "/statistics", "/clients", "/tags", "/projects"):
        to.ask("GET", "/workspaces/{ws}" + path)
    to.ask("GET", "/workspaces/{ws}/projects", since=0)
    to.ask("GET", f"/workspaces/{{ws}}/projects/{project}")
    to.ask("GET", f"/workspaces/{{ws}}/projects/{project}/tasks")
    recurring = next(iter(one.id for one in world.projects.values() if one.recurs_days and one.deleted_at is None))
    to.ask("GET", f"/workspaces/{{ws}}/projects/{recurring}/periods")
    to.ask("GET", f"/workspaces/{{ws}}/clients/{client}")
    to.ask("GET", "/workspaces/{ws}/clients", status="both")
    to.ask("GET", "/workspaces/{ws}/tasks", since=0)
    to.ask("GET", "/workspaces/{ws}/tasks/basic", active="both")
    to.ask("GET", "/workspaces/{ws}/project_users")
    for path in (
        "timesheet_setups",
        "timesheets",
        "currencies",
        "project_groups",
        "invoices",
        "expenses",
        "goals",
        "alerts",
        "time_entry_constraints",
    ):
        to.ask("GET", f"/workspaces/{{ws}}/{path}")
    sheet = next(one for one in world.timesheets.values() if one.deleted_at is None)
    to.ask("GET", f"/workspaces/{{ws}}/timesheets/{sheet.timesheet_setup_id}/{sheet.start_date}/history")
    to.ask("GET", "/audit_logs/{org}/2026-01-01T00:00:00Z/2026-03-10T00:00:00Z", export="true")
    for level, id_ in (("workspace", "{ws}"), ("project", project), ("workspace_user", world.owner.workspace_user_id)):
        to.ask("GET", f"/workspaces/{{ws}}/rates/{level}/{id_}")
        to.ask("GET", f"/workspaces/{{ws}}/rates/{level}/{id_}", type="labor_costs")
    to.ask("POST", "/workspaces/{ws}/users/data", {"user_ids": [world.owner.id]})
    to.ask("POST", "/workspaces/{ws}/clients/data", {"client_ids": [client]})
    for path in (
        "",
        "/users",
        "/users/detailed",
        "/groups",
        "/workspaces/{ws}/groups",
        "/workspaces/{ws}/workspace_users",
    ):
        to.ask("GET", "/organizations/{org}" + path)


def read_reports(to: Checked) -> None:
    project = next(iter(one.id for one in to.world.projects.values() if one.deleted_at is None))
    for more in ({}, {"enrich_response": True}, {"grouped": True}, {"hide_amounts": True}, {"order_by": "duration"}):
        to.ask("POST", "report/search/time_entries", {**RANGE, "page_size": 1000, **more})
    for more in ({}, {"with_graph": True}, {"with_graph": True, "granularity": "month"}):
        to.ask("POST", "report/search/time_entries/totals", {**RANGE, **more})
    for grouping in ("projects", "users", "clients"):
        for sub_grouping in ("time_entries", "users", "projects", "tasks"):
            body = {**RANGE, "grouping": grouping, "sub_grouping": sub_grouping, "include_time_entry_ids": True}
            to.ask("POST", "report/summary/time_entries", body)
    to.ask("POST", "report/projects/summary", RANGE)
    to.ask("POST", f"report/projects/{project}/summary", {**RANGE, "with_graph": True})
    for name in ("users", "projects", "clients", "tasks"):
        to.ask("POST", f"report/filters/{name}", {})
        to.ask("POST", f"report/search/{name}", {"start": 0})
    to.ask("POST", "report/search/users", {"ids": list(to.world.users)})
    to.ask("POST", "report/filters/project_users", {"project_ids": list(to.world.projects)})
    to.ask("POST", "report/filters/project_groups", {"project_ids": [project]})
    to.ask("POST", "report/filters/projects/status", {})
    to.ask("POST", "report/filters/tasks/status", {"ids": list(to.world.tasks)})


def write_everything(to: Checked) -> None:
    ws = to.world.workspace.id
    base = {"created_with": "test", "workspace_id": ws, "start": "2026-03-10T09:00:00Z"}
    project = to.ask("POST", "/workspaces/{ws}/projects", {"name": "Brand new", "active": True})["id"]
    one = to.ask("POST", "/workspaces/{ws}/time_entries", {**base, "duration": 60, "project_id": project})["id"]
    two = to.ask("POST", "/workspaces/{ws}/time_entries", {**base, "duration": -1, "tags": ["x"]}, meta="true")["id"]
    to.ask("POST", "/workspaces/{ws}/time_entries", base)
    to.ask("PUT", f"/workspaces/{{ws}}/time_entries/{one}", {"description": "changed"})
    to.ask("PATCH", f"/workspaces/{{ws}}/time_entries/{two}/stop")
    change = [{"op": "replace", "path": "/description", "value": "both"}]
    to.ask("PATCH", f"/workspaces/{{ws}}/time_entries/{one},{two},5", change)
    to.ask("DELETE", f"/workspaces/{{ws}}/time_entries/{two}")
    to.ask("PUT", f"/workspaces/{{ws}}/projects/{project}", {"name": "Newer"})
    rate = {"level": "project", "level_id": project, "amount": 80.5, "mode": "start-today", "type": "billable_rates"}
    to.ask("POST", "/workspaces/{ws}/rates", rate)
    to.ask("PATCH", f"/workspaces/{{ws}}/projects/{project}", [{"op": "replace", "path": "/name", "value": "Newest"}])
    user = next(one.id for one in to.world.users.values() if one.id != to.world.owner.id)
    to.ask("POST", "/workspaces/{ws}/project_users", {"project_id": project, "user_id": user})
    tasks = f"/workspaces/{{ws}}/projects/{project}/tasks"
    task = to.ask("POST", tasks, {"name": "Brand new"})
    task_id = task["id"] if isinstance(task, dict) else 5
    to.ask("PUT", f"{tasks}/{task_id}", {"name": "Newer"})
    to.ask("DELETE", f"{tasks}/{task_id}")
    client = to.ask("POST", "/workspaces/{ws}/clients", {"name": "Brand new"})["id"]
    to.ask("PUT", f"/workspaces/{{ws}}/clients/{client}", {"notes": "x"})
    to.ask("POST", f"/workspaces/{{ws}}/clients/{client}/archive")
    to.ask("POST", f"/workspaces/{{ws}}/clients/{client}/restore", {})
    to.ask("DELETE", f"/workspaces/{{ws}}/clients/{client}")
    tag = to.ask("POST", "/workspaces/{ws}/tags", {"name": "brand new"})["id"]
    to.ask("PUT", f"/workspaces/{{ws}}/tags/{tag}", {"name": "newer"})
    to.ask("DELETE", f"/workspaces/{{ws}}/tags/{tag}")
    to.ask("DELETE", f"/workspaces/{{ws}}/projects/{project}", teDeletionMode="unassign")
    to.ask("POST", "/organizations", {"name": "New", "workspace_name": "First"})


def be_refused(to: Checked) -> None:
    to.ask("GET", "/me/time_entries", since="x")
    to.ask("GET", "/me/time_entries/5")
    to.ask("GET", "/workspaces/{ws}/projects/5")
    to.ask("GET", "/workspaces/{ws}/clients/5")
    to.ask("GET", "/workspaces/1")
    to.ask("GET", "/organizations/1")
    to.ask("PUT", "/workspaces/{ws}/time_entries/5", {"description": "x"})
    to.ask("PUT", "/workspaces/{ws}/tags/5", {"name": "x"})
    to.ask("POST", "/workspaces/{ws}/projects", {})
    to.ask("POST", "report/search/time_entries", {})
    to.ask("POST", "report/search/time_entries", {"start_date": "2020-01-01", "end_date": "2026-01-01"})
    to.ask("POST", "report/filters/users", {"ids": list(range(200))})


@pytest.fixture
def checked(sandbox_host: SandboxHost) -> Iterator[Checked]:
    callers: list[ApiCaller] = []
    caller = ApiCaller(sandbox_host.serve(build_still_world()))
    callers.append(caller)
    yield Checked(caller)
    for one in callers:
        one.close()


VARIANTS: list[dict[str, Any]] = [
    {},
    {"plan": "premium"},
    {"no_tags": "null", "v9_at": "seconds", "report_times": "utc", "newer_keys": False},
    {"plan": "enterprise", "current_when_idle": "404", "running_duration": "minus_one"},
]


@pytest.mark.parametrize("settings", VARIANTS, ids=lambda settings: ",".join(settings) or "default")
def test_every_answer_validates_against_toggl_s_own_definitions(checked: Checked, settings: dict[str, Any]) -> None:
    checked.toggl.sandbox.set(**settings)
    checked.toggl.sandbox.mutate(seed=4, n=60)
    read_everything(checked)
    read_reports(checked)
    write_everything(checked)
    read_everything(checked)
    be_refused(checked)
    assert checked.problems == []
    named = {f"{route.method} {route.shown}" for route in (*workspaces.ROUTES, *detailed.ROUTES)}
    missed = {endpoint_in_file(endpoint)[1] for endpoint in named - SEEN}
    assert missed == NOT_IN_THE_FILE


def test_every_endpoint_of_the_sandbox_is_one_of_toggl_s() -> None:
    named = {f"{route.method} {route.shown}" for route in (*workspaces.ROUTES, *detailed.ROUTES)}
    unknown = {name for file, name in map(endpoint_in_file, named) if name not in operations(file)}
    assert unknown == NOT_IN_THE_FILE


def webhook_endpoints() -> set[str]:
    sandbox = Sandbox.around(build_still_world(entries=0))
    return {
        f"{route.method} {route.shown}" for route in WebhookEndpoints(sandbox.registry, sandbox.dispatcher).routes()
    }


def documented_texts(endpoint: str, status: int) -> list[re.Pattern[str]]:
    """Return what an endpoint may say with a status, with anything where its description has a name in braces."""
    file, name = endpoint_in_file(endpoint)
    description = operations(file)[name]["responses"][str(status)]["description"]
    texts = re.findall(r"<li>(.*?)</li>", description) or [description]
    parts = [re.split(r"\{[^}]*\}", text) for text in texts]
    return [re.compile(".+".join(map(re.escape, part))) for part in parts]


def use_webhooks(to: Checked, url: str) -> None:
    subscription = {"description": "a", "url_callback": url, "event_filters": [{"entity": "*", "action": "*"}]}
    for path in ("event_filters", "status", "limits/{ws}"):
        to.ask("GET", f"webhooks/{path}")
    one = to.ask("POST", "webhooks/subscriptions/{ws}", {**subscription, "enabled": True, "secret": "s"})
    id_ = one["subscription_id"]
    to.world.mark_deleted(next(tag for tag in to.world.tags.values() if tag.deleted_at is None), to.world.owner)
    to.ask("PUT", f"webhooks/subscriptions/{{ws}}/{id_}", {**subscription, "description": "b", "enabled": True})
    to.ask("PATCH", f"webhooks/subscriptions/{{ws}}/{id_}", {"enabled": False})
    to.ask("POST", f"webhooks/ping/{{ws}}/{id_}")
    to.ask("GET", "webhooks/subscriptions/{ws}")
    to.ask("DELETE", f"webhooks/subscriptions/{{ws}}/{id_}")


def be_refused_webhooks(to: Checked, url: str) -> None:
    for path in ("subscriptions/1", "subscriptions/{ws}/5"):
        to.ask("DELETE" if path.endswith("5") else "GET", f"webhooks/{path}")
    to.ask("PATCH", "webhooks/subscriptions/{ws}/5", {"enabled": True})
    to.ask("PUT", "webhooks/subscriptions/{ws}/5", {})
    to.ask("GET", "webhooks/validate/{ws}/5/abc")
    good = {"description": "a", "url_callback": url, "event_filters": [{"entity": "tag", "action": "*"}]}
    row = good["event_filters"][0]  # type: ignore[index]
    wrong: list[dict[str, Any]] = [{"description": ""}, {"url_callback": "ftp://x"}, {"event_filters": []}]
    rows = [[row, row], [{**row, "entity": ""}], [{**row, "entity": "a-b"}], [{**row, "action": ""}]]
    rows += [[{**row, "action": "a-b"}], [{**row, "action": "removed"}], [{**row, "action": str(n)} for n in range(4)]]
    rows += [[{**row, "entity": str(n)} for n in range(30)]]
    for fields in [*wrong, *({"event_filters": one} for one in rows)]:
        to.ask("POST", "webhooks/subscriptions/{ws}", {**good, **fields})


@pytest.mark.parametrize(
    "settings", [{}, {"webhook_list_returns_secret": False}], ids=["default", "no secrets in lists"]
)
def test_every_answer_of_webhooks_validates_too_and_refuses_in_documented_words(
    checked: Checked, settings: dict[str, Any]
) -> None:
    checked.toggl.sandbox.set(**settings)
    said: list[tuple[str, int, str]] = []
    check = checked.check

    def listen(endpoint: str, answer: requests.Response) -> None:
        check(endpoint, answer)
        if answer.status_code >= 400:
            said.append((endpoint, answer.status_code, answer.json()))

    checked.check = listen  # type: ignore[method-assign]
    with open_callback(echoes=False) as callback:
        use_webhooks(checked, callback.url)
        made = checked.ask(
            "POST",
            "webhooks/subscriptions/{ws}",
            {"description": "a", "url_callback": callback.url, "event_filters": [{"entity": "*", "action": "*"}]},
        )
        code = callback.codes[made["subscription_id"]]
        for _ in range(2):
            checked.ask("GET", f"webhooks/validate/{{ws}}/{made['subscription_id']}/{code}")
        be_refused_webhooks(checked, callback.url)
    assert checked.problems == []
    assert len(said) == 17
    strange = [(endpoint, status, text) for endpoint, status, text in said
               if not any(one.fullmatch(text) for one in documented_texts(endpoint, status))]  # fmt: skip
    assert strange == []
    assert {endpoint_in_file(one)[1] for one in webhook_endpoints() - SEEN} == NO_LONGER_IN_THE_FILE


def test_every_endpoint_of_webhooks_is_one_of_toggl_s() -> None:
    unknown = {name for file, name in map(endpoint_in_file, webhook_endpoints()) if name not in operations(file)}
    assert unknown == NO_LONGER_IN_THE_FILE
