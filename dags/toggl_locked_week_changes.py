"""Report by mail which time entries of approved or invoiced days were changed or deleted, with before and after.

Loads time entries with their history, timesheets and invoices first, which costs three or four requests. Needs
connection ``toggl_default``, Airflow's SMTP provider, its connection ``smtp_default`` with ``from_email``, and the
environment variable ``TOGGL_MAIL_TO`` with the recipients. Approvals need a paid plan of Toggl. Deletions are found by
``toggl_on_change`` or ``toggl_reconcile``, and who made a change by ``toggl_on_change`` alone.

Each change is reported once. Which changes were reported is in the table ``reported_changes`` beside Toggl's tables.
The statements are for DuckDB and PostgreSQL.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_toggl.hooks.warehouse import open_warehouse
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

WORKSPACE = os.environ.get("TOGGL_WORKSPACE_ID")  # as in toggl_sync_to_duckdb
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
MAIL_TO = os.environ.get("TOGGL_MAIL_TO", "")
# The zone of invoiced days, and of timesheets for which Toggl has none.
ZONE = os.environ.get("TOGGL_TIMEZONE", "UTC")

# --8<-- [start:locked]
SUBJECT = "Toggl: {{ changes | length }} changes of approved or invoiced days"
# Descriptions are values of the template and not parts of it, because people may write anything into them.
CONTENT = """
<table>
<tr><th>Entry<th>Day<th>Of<th>Locked by<th>Change<th>Before<th>After<th>Changed<th>By</tr>
{% for change in changes %}
<tr><td>{{ change.entry }}<td>{{ change.day }}<td>{{ change.person | e }}<td>{{ change.lock | e }}
<td>{{ change.what }}<td>{{ change.before | e }}<td>{{ change.after | e }}
<td>{{ change.changed_at }}<td>{{ change.changed_by | e }}</tr>
{% endfor %}
</table>
"""
PARAMS = {
    "invoice_periods": Param(
        {},
        type="object",
        description="First and last day that an invoice is for, by its document_id: {'INV-7': ['2026-10-01', "
        "'2026-10-31']}. Toggl's invoices do not say.",
    ),
    "look_back_days": Param(35, type="integer", minimum=1, description="Changes seen within these days are reported."),
}

# Toggl does not publish the words of timesheets.status.
SHEETS = """
    select member_id, start_date, end_date, timezone,
        coalesce(approved_or_rejected_at, submitted_at, observed_at) as locked_at
    from timesheets
    where status = 'approved' and seen_at is not null and (deleted_at is null or seen_at > deleted_at)
        and (absent_at is null or seen_at > absent_at)
"""
INVOICES = """
    select document_id, created_at
    from invoices
    where seen_at is not null and (deleted_at is null or seen_at > deleted_at)
        and (absent_at is null or seen_at > absent_at)
"""
# All changes of entries that were changed lately: earlier values follow from later changes.
CHANGES = """
    select change.time_entry_id, change.step, change.kind, change.field, change.old_value, change.new_value,
        coalesce(change.changed_at, change.observed_at) as changed_at, author.fullname as changed_by,
        change.observed_at, entry.user_id, entry.start as started, entry.duration, entry.description
    from time_entry_changes as change
        join time_entries as entry on entry.id = change.time_entry_id
        left join users as author on author.id = change.changed_by
    where change.time_entry_id in (select time_entry_id from time_entry_changes where observed_at >= ?)
    order by change.time_entry_id, change.step, change.field
"""
NAMES = """
    select 'user_id' as field, id, fullname as name from users
    union all select 'project_id', id, name from projects
    union all select 'task_id', id, name from tasks
"""
CREATE = "create table if not exists reported_changes (time_entry_id bigint not null, change varchar(64) not null)"
REPORTED = "select time_entry_id, change from reported_changes"
REMEMBER = "insert into reported_changes values (?, ?)"


@dataclass(frozen=True)
class Lock:
    """Days whose entries should not change any more.

    :param name: what locked them, for people.
    :param member_id: the user whose entries they are; None for everybody's.
    :param first: first day, in the zone.
    :param last: last day, in the zone.
    :param zone: IANA name.
    :param at: changes after this instant are reported.
    """

    name: str
    member_id: int | None
    first: date
    last: date
    zone: str
    at: datetime

    def holds(self, user_id: int, started: datetime, changed_at: datetime) -> bool:
        """Whether an entry of that user and start should not have been changed then."""
        is_of_member = self.member_id is None or self.member_id == user_id
        day = started.astimezone(ZoneInfo(self.zone)).date()
        return is_of_member and self.first <= day <= self.last and changed_at > self.at


def find_locks(
    sheets: list[dict[str, Any]], invoices: list[dict[str, Any]], periods: dict[str, tuple[str, str]]
) -> list[Lock]:
    """Return what the approved timesheets and the invoices with a known period lock.

    :param sheets: rows of ``SHEETS``. A reopened timesheet is not among them.
    :param invoices: rows of ``INVOICES``. A deleted invoice is not among them.
    :param periods: first and last day by ``document_id``.
    """
    locks = [
        Lock(
            "approval", row["member_id"], row["start_date"], row["end_date"], row["timezone"] or ZONE, row["locked_at"]
        )
        for row in sheets
    ]
    for row in invoices:
        if row["document_id"] in periods:
            first, last = map(date.fromisoformat, periods[row["document_id"]])
            locks.append(Lock(f"invoice {row['document_id']}", None, first, last, ZONE, row["created_at"]))
    return locks


def find_changes(rows: list[dict[str, Any]], locks: list[Lock], reported: set[tuple[int, str]]) -> list[dict[str, Any]]:
    """Return the changes of locked entries that were not reported, each with its first lock and its key.

    An entry that was moved out of locked days, into them, or to another user is found by its values before and after.

    :param rows: rows of ``CHANGES``.
    :param reported: IDs of entries with keys of changes.
    """
    found = []
    for entry_id, changes in itertools.groupby(rows, key=lambda row: row["time_entry_id"]):
        own, times = list(changes), Counter[str]()
        for row in own:
            key = identify(row, times)
            if row["kind"] == "found" or (entry_id, key) in reported:
                continue  # found: the first known state, not a change
            owners = {int(value) for value in values_around(own, row, "user_id", row["user_id"])}
            starts = [as_instant(value) for value in values_around(own, row, "start", row["started"])]
            held = (
                (lock, start)
                for lock in locks
                for owner, start in itertools.product(owners, starts)
                if lock.holds(owner, start, row["changed_at"])
            )
            if (match := next(held, None)) is not None:
                found.append({**row, "lock": match[0], "key": key, "day": match[1].astimezone(ZoneInfo(match[0].zone))})
    return found


def identify(row: dict[str, Any], times: Counter[str]) -> str:
    """Return a key of a change that stays when a late event adds a version or makes the time of a change more precise.

    :param times: how often each change was seen of this entry; counted up here.
    """
    kind = "deleted" if row["kind"] == "absent" else row["kind"]
    what = json.dumps([kind, row["field"], row["old_value"], row["new_value"]])
    times[what] += 1
    return hashlib.sha256(f"{what}{times[what]}".encode()).hexdigest()


def values_around(own: list[dict[str, Any]], row: dict[str, Any], field: str, latest: Any) -> list[Any]:
    """Return what a field of an entry was before and after a change.

    :param own: all changes of the entry, in order.
    :param latest: the present value.
    """
    later = (one["old_value"] for one in own if one["step"] > row["step"] and one["field"] == field)
    after = next(later, latest)
    same = (one["old_value"] for one in own if one["step"] == row["step"] and one["field"] == field)
    return [value for value in dict.fromkeys((next(same, after), after)) if value is not None]


def as_instant(value: str | datetime) -> datetime:
    """Return an instant of a column, or of the text that the history has."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value.replace("Z", "+00:00"))


def describe(change: dict[str, Any], names: dict[tuple[str, str], str]) -> dict[str, Any]:
    """Return a change as the mail shows it.

    :param names: names by field and ID.
    """
    field = change["field"]
    before, after = (names.get((field, value), value) for value in (change["old_value"], change["new_value"]))
    whole = f"{change['description'] or '(no description)'}, {(change['duration'] or 0) / 3600:.2f} h"
    if change["kind"] in ("deleted", "absent"):
        before = whole
    elif change["kind"] in ("created", "restored"):
        after = whole
    user = str(change["user_id"])
    return {
        "entry": change["time_entry_id"],
        "day": str(change["day"].date()),
        "person": names.get(("user_id", user), user),
        "lock": change["lock"].name,
        "what": field or change["kind"],
        "before": before or "",
        "after": after or "",
        "changed_at": change["changed_at"].astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "changed_by": change["changed_by"] or "unknown",
    }


@dag(
    dag_id="toggl_locked_week_changes",
    description="A mail about changes of approved or invoiced days.",
    schedule="0 6 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params=PARAMS,
    tags=["toggl"],
)
def toggl_locked_week_changes() -> None:
    """Build the DAG."""

    # One at a time of all runs, so that a run by hand finds what this one has reported.
    @task(max_active_tis_per_dag=1, trigger_rule="none_failed")  # a stream that Toggl refuses is skipped
    def report() -> None:
        """Send the mail, then remember it. A failure between both sends it again, and no change is lost."""
        context = get_current_context()
        params = context["params"]
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse:
            with warehouse.transaction() as transaction:
                transaction.run(CREATE)
            sheets, invoices = (warehouse.query(query).to_pylist() for query in (SHEETS, INVOICES))
            since = datetime.now(timezone.utc) - timedelta(days=params["look_back_days"])
            rows = warehouse.query(CHANGES, [since]).to_pylist()
            names = {(row["field"], str(row["id"])): row["name"] for row in warehouse.query(NAMES).to_pylist()}
            reported = {(row["time_entry_id"], row["change"]) for row in warehouse.query(REPORTED).to_pylist()}
        changes = find_changes(rows, find_locks(sheets, invoices, params["invoice_periods"]), reported)
        if not changes:
            return
        if not MAIL_TO:
            raise AirflowFailException("Nobody would get the report: set the environment variable TOGGL_MAIL_TO.")
        context["changes"] = [describe(change, names) for change in changes]  # type: ignore[typeddict-unknown-key]
        # Called here and not by on_success_callback, because a failure of that is not retried.
        SmtpNotifier(to=MAIL_TO, subject=SUBJECT, html_content=CONTENT)(context)
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse, warehouse.transaction() as transaction:
            transaction.run_many(REMEMBER, [(change["time_entry_id"], change["key"]) for change in changes])

    loads = [
        TogglToSqlOperator(
            task_id=f"load_{stream}",
            stream=stream,
            workspace_id=WORKSPACE,
            warehouse_conn_id=WAREHOUSE,
            keep_history=True if stream == "time_entries" else None,
        )
        for stream in ("time_entries", "timesheets", "invoices")
    ]
    loads >> report()


toggl_locked_week_changes()
# --8<-- [end:locked]
