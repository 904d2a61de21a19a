"""On Friday afternoon, send a mail to everybody who has logged too little in the week.

Loads time entries and members of the workspace first, which costs two or three requests. Needs connection
``toggl_default``, Airflow's SMTP provider, and its connection ``smtp_default`` with ``from_email``. The working hours
are those of Toggl, which need a paid plan, or the parameter ``weekly_hours``. People with neither are listed in the
log of ``find``, and get no mail.

Each person gets one mail for a week, also when the DAG runs again. Which mails were sent is in the table
``friday_reminders`` beside Toggl's tables. The statements are for DuckDB and PostgreSQL.
"""

from __future__ import annotations

import logging
import os
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import Param, dag, get_current_context, task
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_toggl.hooks.warehouse import open_warehouse
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

WORKSPACE = os.environ.get("TOGGL_WORKSPACE_ID")  # as in toggl_sync_to_duckdb
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
# The zone of the schedule, and of people for whom Toggl has none.
ZONE = os.environ.get("TOGGL_TIMEZONE", "UTC")

# --8<-- [start:reminder]
SUBJECT = "Toggl: {{ person.hours }} of {{ person.expected }} h in the week from {{ person.week }}"
# Names are values of the template and not parts of it, because people may write anything into them.
CONTENT = """
<p>Hello {{ person.name | e }},</p>
<p>Toggl Track has {{ person.hours }} h of your {{ person.expected }} h in the week from {{ person.week }}.
Please complete your entries.</p>
"""
PARAMS = {
    "share": Param(0.8, type="number", minimum=0, description="Remind those below this share of their working hours."),
    "weekly_hours": Param(
        None, type=["null", "number"], description="Hours a week of people for whom Toggl has no working hours."
    ),
    "working_days": Param(
        5, type="number", description="Days a week that working hours in Toggl are for; 1 if they are for the week."
    ),
}

PEOPLE = """
    select id, workspace_id, user_id, name, email, timezone, working_hours_in_minutes
    from workspace_users
    where seen_at is not null and (deleted_at is null or seen_at > deleted_at)
        and (absent_at is null or seen_at > absent_at)
        and coalesce(active, true) and not coalesce(inactive, false)
    order by id
"""
ENTRIES = 'select workspace_id, user_id, "start", stop from live_time_entries where "start" < ? and stop > ?'
CREATE = "create table if not exists friday_reminders (week date not null, workspace_user_id bigint not null)"
SENT = "select workspace_user_id from friday_reminders where week = ?"
REMEMBER = "insert into friday_reminders values (?, ?)"


def find_short(
    people: list[dict[str, Any]], entries: list[dict[str, Any]], monday: date, params: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return who has logged too little in a week, and the names of those whose working hours are unknown.

    A person's week begins at midnight of Monday in the person's zone. An entry counts with what of it is in the week.

    :param people: rows of ``PEOPLE``.
    :param entries: rows of ``ENTRIES``, of the week and perhaps of others; running timers are not among them.
    """
    short, unknown = [], []
    for person in people:
        minutes = person["working_hours_in_minutes"]
        expected = params["weekly_hours"] if minutes is None else minutes / 60 * params["working_days"]
        if expected is None:
            unknown.append(person["name"])
            continue
        begin, end = bounds(monday, person["timezone"] or ZONE)
        own = [entry for entry in entries if all(entry[key] == person[key] for key in ("workspace_id", "user_id"))]
        inside = (min(entry["stop"], end) - max(entry["start"], begin) for entry in own)
        hours = sum((part for part in inside if part > timedelta()), timedelta()) / timedelta(hours=1)
        if hours < params["share"] * expected:
            known = {key: person[key] for key in ("id", "name", "email")}
            short.append({**known, "week": str(monday), "hours": round(hours, 1), "expected": round(expected, 1)})
    return short, unknown


def bounds(monday: date, zone: str) -> tuple[datetime, datetime]:
    """Return when a week begins and ends in a zone, in UTC."""
    days = (monday, monday + timedelta(days=7))
    begin, end = (datetime.combine(day, time(), ZoneInfo(zone)).astimezone(timezone.utc) for day in days)
    return begin, end


@dag(
    dag_id="toggl_friday_reminder",
    description="A mail to everybody who has logged too little in the week.",
    schedule=CronTriggerTimetable("0 15 * * 5", timezone=ZONE),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params=PARAMS,
    tags=["toggl"],
)
def toggl_friday_reminder() -> None:
    """Build the DAG."""

    @task(trigger_rule="none_failed")  # a stream that Toggl refuses is skipped
    def find() -> list[dict[str, Any]]:
        """Return the people to remind."""
        context = get_current_context()
        run = context["dag_run"]
        # A backfill has the Friday of its week as logical date; a run started by hand may have none.
        today = (run.logical_date or run.run_after).astimezone(ZoneInfo(ZONE)).date()
        monday = today - timedelta(days=today.weekday())
        begin, end = bounds(monday, "UTC")
        day = timedelta(days=1)  # zones are at most 14 hours from UTC
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse:
            with warehouse.transaction() as transaction:
                transaction.run(CREATE)
            people = warehouse.query(PEOPLE).to_pylist()
            entries = warehouse.query(ENTRIES, [end + day, begin - day]).to_pylist()
            sent = warehouse.query(SENT, [monday]).column(0).to_pylist()
        short, unknown = find_short(people, entries, monday, dict(context["params"]))
        if unknown:
            logging.getLogger(__name__).warning("No working hours are known of: %s", ", ".join(unknown))
        return [person for person in short if person["id"] not in sent]

    # One at a time of all runs, so that a backfill of the same week finds what this one has sent.
    @task(map_index_template="{{ person.name }}", max_active_tis_per_dag=1)
    def remind(person: dict[str, Any]) -> None:
        """Send the mail, then remember it. A failure between both sends it again, and none is lost."""
        monday = date.fromisoformat(person["week"])
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse:
            if person["id"] in warehouse.query(SENT, [monday]).column(0).to_pylist():
                return  # this task was cleared, or another run was faster
        context = get_current_context()
        context["person"] = person  # type: ignore[typeddict-unknown-key]
        # Called here and not by on_success_callback, because a failure of that is not retried.
        SmtpNotifier(to="{{ person.email }}", subject=SUBJECT, html_content=CONTENT)(context)
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse, warehouse.transaction() as transaction:
            transaction.run(REMEMBER, [monday, person["id"]])

    loads = [
        TogglToSqlOperator(task_id=f"load_{stream}", stream=stream, workspace_id=WORKSPACE, warehouse_conn_id=WAREHOUSE)
        for stream in ("time_entries", "workspace_users")
    ]
    found = find()
    loads >> found
    remind.expand(person=found)


toggl_friday_reminder()
# --8<-- [end:reminder]
