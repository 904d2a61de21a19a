from __future__ import annotations

import json
import os
import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from support.repository import ROOT
from support.sandboxes import ApiCaller, SandboxHost, build_still_world

from airflow_provider_toggl.sandbox.rest_v9.writes.entries import create_entry
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry

FOLDER = Path(os.environ.get("TOGGL_RECORDED") or ROOT.parent / "shared" / "toggl-recorded")
FILE = FOLDER / "interactions.jsonl"

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no recorded exchanges with Toggl at {FILE}")

# What is not compared, with the reason. Headers other than X-*, Content-Type and Cache-Control: those of a proxy, and
# the date. The values of X-Next-ID and X-Next-Timestamp: those of other data. Which keys of the years since the sandbox
# gives: switched to those of the recording's time (`v9_at`, `newer_keys`), as Toggl itself changed in between.
# Values of these keys have the shape of a secret or an address, scrubbed in the recordings.
SCRUBBED = {"api_token", "image_url", "logo_url", "ical_url", "intercom_hash", "toggl_accounts_id", "email"}
# Keys with null in one and a value in the other: whether there is one depends on the data, not on the shape.
OPTIONAL = {
    "project_id", "task_id", "client_id", "cid", "stop", "description", "server_deleted_at", "tags", "tag_ids",
    "actual_hours", "actual_seconds", "oauth_providers",
}  # fmt: skip
# Keys that an entry has only when it has a project, a client or a task.
ONLY_SOMETIMES = {
    "pid", "tid", "client_name", "project_name", "project_color", "project_active", "project_billable", "task_name",
}  # fmt: skip


@cache
def recordings() -> list[dict[str, Any]]:
    return [json.loads(line) for line in FILE.read_text().splitlines()] if FILE.is_file() else []


def numbers() -> list[int]:
    return list(range(len(recordings()))) or [0]


def title(number: int) -> str:
    if not recordings():
        return "none"
    one = recordings()[number]
    return f"{number}-{one['method']}-{re.sub(r'[0-9]{3,}', 'N', one['path'].split('?')[0])}-{one['status']}"


def recorded_at(one: dict[str, Any]) -> datetime:
    return parsedate_to_datetime(one["headers"]["date"])


class Stage:
    """A world made so that a recorded request finds in it what it found in Toggl."""

    def __init__(self, host: SandboxHost, one: dict[str, Any]) -> None:
        self.one = one
        self.now = recorded_at(one)
        old = self.now < datetime(2024, 6, 1, tzinfo=timezone.utc)
        settings = {"v9_at": "seconds" if old else "micros", "newer_keys": False}
        zone = "America/Los_Angeles" if old else "Europe/Berlin"
        self.world = build_still_world(entries=0, days=200, now=self.now, **settings)
        self.world.owner.timezone = zone
        for group in self.world.groups.values():
            group.user_ids = [self.world.owner.id]
        self.toggl = ApiCaller(host.serve(self.world))
        self.ids: dict[int, int] = {}
        self.prepare()

    def prepare(self) -> None:
        """Make what the request asks for and the answer speaks of."""
        path = self.one["path"]
        if "/search/time_entries" in path:
            self.make_report(self.one["body"])
        elif "/summary/" in path:
            for group in self.one["body"]["groups"]:
                for part in group["sub_groups"]:
                    self.make_part(group["id"], part)
        else:
            self.make_entries(path)
            self.make_projects(path, self.one["request"])

    def make_entries(self, path: str) -> None:
        """Make the entries that are read, and those that are written to by their ids."""
        body = self.one["body"]
        rows = body if isinstance(body, list) else [body]
        if self.one["method"] == "GET" or path.endswith("/stop"):
            for row in rows:
                if isinstance(row, dict) and "duronly" in row:
                    self.make_entry(row)
        for text in re.findall(r"/workspaces/[0-9]+/time_entries/([0-9,]+)", path):
            for id_ in map(int, text.split(",")):
                self.ids.setdefault(id_, 0)
                self.ids[id_] = self.ids[id_] or self.make_stopped().id

    def make_projects(self, path: str, payload: Any) -> None:
        """Make the projects that the path or the payload names."""
        named = [id_ for text in re.findall(r"/projects/([0-9,]+)", path) for id_ in text.split(",")]
        if isinstance(payload, dict) and "pid" in payload:
            named.append(payload["pid"])
        if isinstance(payload, list):
            named += [operation["value"] for operation in payload if operation["path"] == "/pid"]
        for id_ in named:
            self.project(int(id_))

    def project(self, recorded: int) -> int:
        """Return the id of the project that stands for a recorded one."""
        if recorded not in self.ids:
            world = self.world
            client = next(iter(one.id for one in world.clients.values() if one.deleted_at is None))
            project = Project(
                world.next_id("project"), world.workspace.id, f"Project {recorded}", self.now, self.now,
                "#0b83d9", self.now.date(), client_id=client,
            )  # fmt: skip
            self.ids[recorded] = world.store(project).id
        return self.ids[recorded]

    def make_entry(self, row: dict[str, Any]) -> None:
        payload = {
            "created_with": "test",
            "workspace_id": self.world.workspace.id,
            "start": row["start"],
            "duration": -1 if row["stop"] is None or self.one["path"].endswith("/stop") else row["duration"],
            "description": row["description"],
            "tags": row["tags"] or [],
            "project_id": self.project(row["project_id"]) if row["project_id"] else None,
        }
        entry = create_entry(WriteRequest(self.world, self.world.owner, payload))
        self.ids[row["id"]] = entry.id
        if row["server_deleted_at"]:
            self.world.mark_deleted(entry, self.world.owner)

    def make_stopped(self, start: datetime | None = None, seconds: int = 60) -> TimeEntry:
        start = start or self.now.replace(microsecond=0) - timedelta(hours=2)
        payload = {
            "created_with": "test",
            "workspace_id": self.world.workspace.id,
            "start": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "duration": seconds,
            "description": "something",
        }
        return create_entry(WriteRequest(self.world, self.world.owner, payload))

    def make_report(self, rows: list[dict[str, Any]]) -> None:
        """Make as many entries as the report had in all: two full pages of the long one."""
        total = 100 if self.one.get("body_items_total") == 50 else len(rows)
        first = datetime.fromisoformat(rows[0]["time_entries"][0]["start"])
        if self.one["request"].get("first_row_number"):
            first -= timedelta(hours=50)
        for number in range(total):
            entry = self.make_stopped(first.astimezone(timezone.utc) + timedelta(hours=number), 2700)
            entry.project_id = self.project(rows[0]["project_id"])
            if rows[0]["tag_ids"]:
                entry.tag_ids = [next(iter(self.world.tags))]

    def make_part(self, project: int, part: dict[str, Any]) -> None:
        start = datetime.fromisoformat(part["local_start"].removesuffix("Z")) + timedelta(hours=7)
        entry = self.make_stopped(start.replace(tzinfo=timezone.utc), part["seconds"])
        entry.project_id = self.project(project)
        entry.description = part["title"]

    def replay(self) -> requests.Response:
        """Send the recorded request, with this world's ids."""
        address = urlsplit(self.one["path"])
        path = re.sub(
            r"/workspaces?/[0-9]+", lambda m: m[0].rsplit("/", 1)[0] + f"/{self.world.workspace.id}", address.path
        )
        path = re.sub(r"/organizations/[0-9]+", f"/organizations/{self.world.organization.id}", path)
        path = re.sub(r"[0-9]{6,}", lambda found: str(self.ids.get(int(found[0]), found[0])), path)
        body = json.loads(
            re.sub(r"\b[0-9]{8,}\b", lambda m: str(self.ids.get(int(m[0]), m[0])), json.dumps(self.one["request"]))
        )
        if isinstance(body, dict):
            for name in ("workspace_id", "wid"):
                if name in body:
                    body[name] = self.world.workspace.id
        if self.one["status"] == 401:
            self.toggl.session.auth = ("f" * 32, "api_token")
        return self.toggl.call(self.one["method"], path, body, params=parse_qsl(address.query))


def kind(value: Any) -> str:
    """Name the shape of a value: its type, and for times their very form."""
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    if isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}Z", value):
            return "time.microsZ"
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
            return "time.Z"
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", value):
            return "time" + value[-6:]
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return "day"
        return "str"
    return "number" if isinstance(value, (int, float)) else type(value).__name__


def differences(ours: Any, theirs: Any, where: str = "$") -> list[str]:
    """Return where one answer has another shape than the other."""
    key = where.rsplit(".", 1)[-1].removesuffix("[]")
    if isinstance(theirs, dict) and isinstance(ours, dict):
        own = [name for name in ours if name not in ONLY_SOMETIMES]
        wanted = [name for name in theirs if name not in ONLY_SOMETIMES]
        found = [] if own == wanted else [f"{where}: keys {own}, recorded {wanted}"]
        both = [name for name in theirs if name in ours]
        return found + [part for name in both for part in differences(ours[name], theirs[name], f"{where}.{name}")]
    if isinstance(theirs, list) and isinstance(ours, list):
        if bool(theirs) != bool(ours) and key not in OPTIONAL:
            return [f"{where}: {len(ours)} items, recorded {len(theirs)}"]
        return [part for one in ours[:5] if theirs for part in differences(one, theirs[0], f"{where}[]")]
    if (ours is None or theirs is None) and key in OPTIONAL:
        return []
    if key in SCRUBBED:
        return [] if type(ours) is type(theirs) else [f"{where}: {ours!r}, recorded {theirs!r}"]
    one, other = kind(ours), kind(theirs)
    if {one, other} == {"time.Z", "time.microsZ"}:  # trailing zeros are cut, to nothing when it is a whole second
        return []
    return [] if one == other else [f"{where}: {one} {ours!r}, recorded {other} {theirs!r}"]


@pytest.mark.parametrize("number", numbers(), ids=title)
def test_a_recorded_request_is_answered_in_the_same_shape(sandbox_host: SandboxHost, number: int) -> None:
    one = recordings()[number]
    stage = Stage(sandbox_host, one)
    answer = stage.replay()
    stage.toggl.close()
    assert answer.status_code == one["status"], answer.text
    shown = {name.lower(): value for name, value in answer.headers.items()}
    own = {name for name in shown if name.startswith("x-")} | ({"content-type", "cache-control"} & set(shown))
    wanted = {name for name in one["headers"] if name.startswith("x-") or name in ("content-type", "cache-control")}
    assert own == wanted
    fixed = [name for name in wanted if name not in ("x-next-id", "x-next-timestamp")]
    assert {name: shown[name] for name in fixed} == {name: one["headers"][name] for name in fixed}
    if one["raw_length"] == 0:
        assert answer.content == b""
        return
    body, recorded = answer.json(), one["body"]
    if isinstance(recorded, str):
        assert body == recorded
    assert differences(body, recorded) == []
