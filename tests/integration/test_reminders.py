"""The example DAGs that send mails about weeks: who logged too little, and what changed after an approval."""

from __future__ import annotations

import shutil
from datetime import date, datetime, time, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.airflow_home import AirflowHome, connect_sandbox
from support.repository import ROOT
from support.servers.mail import running_mail_server

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.fixture
def mail() -> Any:
    with running_mail_server() as server:
        yield server


@pytest.fixture
def airflow(tmp_path: Path, mail: Any) -> Any:
    with AirflowHome(tmp_path / "airflow") as home:
        for example in ("friday_reminder", "locked_week_changes", "reconcile", "sync_to_duckdb"):
            shutil.copy(ROOT / "dags" / f"toggl_{example}.py", home.dags)
        home.set_connection("smtp_default", mail.connection)
        home.env["TOGGL_MAIL_TO"] = "boss@example.com"
        yield home


def test_who_logged_too_little_gets_one_mail_for_the_week(sandbox, airflow: AirflowHome, mail: Any) -> None:
    toggl = sandbox("--entries", "600", "--days", "20", "--plan", "premium", "--seed", "17")
    connect_sandbox(airflow, toggl)
    friday = last_friday()
    shares = worked_shares(toggl, friday.date() - timedelta(days=4))
    short = sorted(address for address, share in shares.items() if share < 0.8)
    assert 0 < len(short) < len(shares)
    airflow.start()
    # Airflow makes the run of the last Friday when the DAG is switched on.
    airflow.switch_on("toggl_friday_reminder")
    first = f"scheduled__{friday.isoformat()}"
    airflow.wait_until(lambda: first in run_ids(airflow), timeout=60, what="the run of Friday")
    assert airflow.wait_for_run("toggl_friday_reminder", first, timeout=240) == "success"
    assert sorted(message["to"] for message in mail.messages) == short

    run(airflow, "toggl_friday_reminder", friday + timedelta(hours=1))
    for task_id in ("remind", "find"):
        clear(airflow, "toggl_friday_reminder", first, task_id)
    assert len(mail.messages) == len(short)


def test_changes_of_approved_weeks_are_reported_once(sandbox, airflow: AirflowHome, mail: Any) -> None:
    toggl = sandbox("--entries", "400", "--days", "40", "--plan", "premium", "--seed", "16")
    connect_sandbox(airflow, toggl)
    airflow.start()
    for dag_id in ("toggl_sync_to_duckdb", "toggl_locked_week_changes"):
        run(airflow, dag_id)
    assert mail.messages == []

    before = {entry["id"]: entry for entry in toggl.truth("time_entries")}
    toggl.mutate(seed=3, n=30, kinds=["late_edit", "delete_entry"])
    now = {entry["id"]: entry for entry in toggl.truth("time_entries")}
    # An edit may give a field the value that it has; then only the entry's time of change changes.
    changed = {id_ for id_ in now if {**now[id_], "at": None} != {**before[id_], "at": None}}
    locked = {id_ for id_ in changed if is_approved(toggl, before[id_])}
    gone = {id_ for id_ in locked if now[id_]["deleted_at"]}
    assert gone
    assert locked - gone
    assert changed - locked
    run(airflow, "toggl_reconcile")
    first = run(airflow, "toggl_locked_week_changes")
    (message,) = mail.messages
    assert message["to"] == "boss@example.com"
    rows = reported(message)
    assert {int(row[0]) for row in rows} == locked
    assert {int(row[0]) for row in rows if row[4] in ("absent", "deleted")} == gone
    texts = {int(row[0]): (row[5], row[6]) for row in rows if row[4] == "description"}
    assert texts
    assert texts == {id_: (before[id_]["description"] or "", now[id_]["description"]) for id_ in texts}

    run(airflow, "toggl_locked_week_changes")
    clear(airflow, "toggl_locked_week_changes", first, "report")
    assert len(mail.messages) == 1


def run(airflow: AirflowHome, dag_id: str, logical_date: datetime | None = None) -> str:
    """Run a DAG to its end and return the ID of the run."""
    run_id = airflow.trigger(dag_id, logical_date=logical_date)
    assert airflow.wait_for_run(dag_id, run_id, timeout=240) == "success"
    return run_id


def run_ids(airflow: AirflowHome) -> list[str]:
    return [run["dag_run_id"] for run in airflow.api("GET", "/dags/toggl_friday_reminder/dagRuns")["dag_runs"]]


def clear(airflow: AirflowHome, dag_id: str, run_id: str, task_id: str) -> None:
    """Clear a task of a run with those after it, and wait until they have run again."""
    body = {"dag_run_id": run_id, "task_ids": [task_id], "include_downstream": True}
    options = {"dry_run": False, "only_failed": False, "reset_dag_runs": True}
    airflow.api("POST", f"/dags/{dag_id}/clearTaskInstances", json=body | options)
    assert airflow.wait_for_run(dag_id, run_id, timeout=240) == "success"
    assert {one["try_number"] for one in airflow.task_instances(dag_id, run_id) if one["task_id"] == task_id} == {2}


def last_friday() -> datetime:
    """Return 15:00 UTC of the last Friday that is past."""
    now = datetime.now(timezone.utc)
    day = now.date() - timedelta(days=(now.weekday() - 4) % 7)
    friday = datetime.combine(day, time(15), timezone.utc)
    return friday if friday < now else friday - timedelta(days=7)


def worked_shares(toggl: Any, monday: date) -> dict[str, float]:
    """Return which share of the working hours of a week each person with working hours has logged, by address."""
    entries = [entry for entry in toggl.truth("time_entries") if not entry["deleted_at"] and entry["stop"]]
    shares = {}
    for person in toggl.truth("workspace_users"):
        minutes = person["working_hours_in_minutes"]
        if minutes is None or person["inactive"] or person["deleted_at"]:
            continue
        zone = ZoneInfo(person["timezone"])
        begin, end = (datetime.combine(day, time(), zone).timestamp() for day in (monday, monday + timedelta(days=7)))
        spans = [
            (instant(entry["start"]).timestamp(), instant(entry["stop"]).timestamp())
            for entry in entries
            if entry["user_id"] == person["user_id"]
        ]
        seconds = sum(max(0, min(stop, end) - max(start, begin)) for start, stop in spans)
        shares[person["email"]] = seconds / (minutes * 60 * 5)
    return shares


def is_approved(toggl: Any, entry: dict[str, Any]) -> bool:
    """Whether an entry is in an approved timesheet of its user."""
    return any(
        sheet["start_date"]
        <= str(instant(entry["start"]).astimezone(ZoneInfo(sheet["timezone"])).date())
        <= sheet["end_date"]
        for sheet in toggl.truth("timesheets")
        if sheet["status"] == "approved" and not sheet["deleted_at"] and sheet["member_id"] == entry["user_id"]
    )


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def reported(message: EmailMessage) -> list[list[str]]:
    """Return the cells of the table in a mail."""
    html = message.get_body(("html",)).get_content()
    rows = html.split("<tr>")[2:]
    return [[cell.strip() for cell in row.split("</tr>")[0].split("<td>")[1:]] for row in rows]
