"""The catalogue of known problems: what each means, and how to fix it. The reference lists it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from airflow_provider_toggl.core.operate.findings import CheckStatus, Finding, Problem

_fault = partial(Problem, CheckStatus.FAULT)
_warning = partial(Problem, CheckStatus.WARNING)
_unknown = partial(Problem, CheckStatus.UNKNOWN)

PROBLEMS: Mapping[str, tuple[Problem, ...]] = {
    "versions": (
        _fault(
            "unfit_version",
            "The provider does not support this version. Imports, triggers or loads can fail.",
            "Install supported versions, the same on every machine of this Airflow: `pip install "
            "'airflow-provider-toggl' 'apache-airflow'` with Airflow's constraints file, or another release of the "
            "provider.",
        ),
        _warning(
            "untested_version",
            "It may work, but it was not tested.",
            "Check for a newer release of the provider, and try it in a test environment first.",
        ),
    ),
    "connection": (
        _fault(
            "connection_missing",
            "Operators, hooks and the receiver read the token, the workspace and the secret from this connection.",
            "Create a connection of type Toggl Track with this ID. Its password is the API token from the foot of "
            "track.toggl.com/profile. Or name another connection with --conn-id.",
        ),
        _fault(
            "connection_wrong",
            "The hook cannot send requests with this connection.",
            "Correct the field or the type of the connection, or name another connection with --conn-id.",
        ),
        _warning(
            "no_workspace",
            "Tasks that do not name a workspace fail. The doctor checks the default workspace of the token's owner.",
            "Set workspace_id in the connection's extra.",
        ),
        _fault(
            "no_webhook_secret",
            "The receiver cannot verify deliveries and refuses all of them; subscriptions cannot be created.",
            "Set webhook_secret in the connection's extra to a long random text, then run the task with "
            "TogglEnsureSubscriptionOperator, which sends it to Toggl.",
        ),
        _warning(
            "two_secrets",
            "A rotation of the webhook secret is not complete: deliveries signed with the old secret are still "
            "accepted.",
            "When the subscription has the new secret, clear previous_webhook_secret in the connection's extra.",
        ),
    ),
    "token": (
        _fault(
            "wrong_token",
            "Toggl rejects the token: it was reset, copied incorrectly, or belongs to a deleted user.",
            "Copy the API token from the foot of track.toggl.com/profile into the connection's password.",
        ),
        _fault(
            "toggl_down",
            "Toggl is down. Tasks retry, and webhooks arrive later.",
            "Wait, check https://status.toggl.com, and run the doctor again.",
        ),
        _fault(
            "toggl_unreachable",
            "Requests from this machine are not answered. The cause is DNS, the network, a proxy or a certificate.",
            "Check DNS, the firewall, the HTTPS_PROXY variable of Airflow's processes, and the connection's host.",
        ),
        _fault(
            "not_toggl",
            "The server at this address does not answer as Toggl does.",
            "Clear the connection's host, or set it to the right base URL. Check proxies on the way.",
        ),
        _unknown(
            "rate_limited",
            "Other programs use the same token and send requests faster than Toggl allows.",
            "Try again in a few minutes. Lower requests_per_second in the connection's extra.",
        ),
    ),
    "quota": (
        _fault(
            "quota_gone",
            "Toggl refuses every request of this lane until the reset. Tasks that load data defer until then.",
            "Wait for the reset. To need fewer requests: run less often, use webhooks instead of polling, use "
            "another token for other programs, or choose a larger plan. `airflow toggl plan` shows the cost of a "
            "load.",
        ),
        _fault(
            "limits_unavailable",
            "The hosts cannot share rate limits, so no request is sent. Tasks wait, then defer.",
            "Check the PostgreSQL server that event_store_conn_id names. Its user must own schema toggl_limits, or be "
            "allowed to create it.",
        ),
        _warning(
            "quota_low",
            "The next load may have to wait for the reset.",
            "If this is rare, nothing. Otherwise see `airflow toggl plan`.",
        ),
    ),
    "rights": (
        _fault(
            "not_admin",
            "For a member who is not an administrator, reports have only their own time entries and no rates or "
            "amounts, lists lack people and projects, and webhooks lack events. Hidden records look deleted.",
            "Make the token's owner an administrator of the workspace (Toggl: Members), or use an administrator's "
            "token. If a member's token is intended, run the doctor with --member.",
        ),
        _warning(
            "member_only",
            "As stated with --member: only what the token's owner may see is loaded.",
            "Nothing.",
        ),
        _fault(
            "no_workspace_access",
            "The workspace cannot be read: the number is wrong, or the token's owner was removed from it.",
            "Check workspace_id in the connection, and that the token's owner is an active member of that workspace.",
        ),
    ),
    "clock": (
        _fault(
            "clock_off",
            "Quota windows, look-back and runs depend on this clock. Changes can be skipped or read twice, and "
            "tokens and certificates rejected.",
            "Synchronize the clock by NTP (`timedatectl set-ntp true`, chrony), also on the host of containers.",
        ),
        _warning(
            "clock_drifts",
            "Harmless for now, but a clock that is not synchronized drifts further.",
            "Synchronize the clock by NTP.",
        ),
    ),
    "store": (
        _fault(
            "store_read_only",
            "The receiver answers deliveries with 503. Toggl repeats them for a while; then they are lost.",
            "Give every user that runs a part of Airflow write access to the file and its folder, on a disk that is "
            "mounted writable.",
        ),
        _fault(
            "disk_full",
            "Deliveries cannot be stored. The receiver answers 503 until there is space.",
            "Free space on the store's disk, or remove old events: `airflow toggl events prune --older-than 30d`.",
        ),
        _warning(
            "disk_low",
            "When the disk is full, deliveries cannot be stored.",
            "Free space, or remove old events: `airflow toggl events prune --older-than 30d`.",
        ),
        _fault(
            "store_locked",
            "Another process holds a write lock. The receiver answers deliveries with 503 meanwhile.",
            "End the session that holds the lock (an analyst's shell, a backup), then run the doctor again.",
        ),
        _fault(
            "store_damaged",
            "Events may be lost or wrong.",
            "Keep a copy, then restore a backup or start a new store. The next pull and reconciliation load what is "
            "missing.",
        ),
        _fault(
            "store_too_new",
            "A newer version of the package created the tables; this version cannot use them.",
            "Upgrade airflow-provider-toggl on this machine to the version of the others.",
        ),
        _fault(
            "store_unreachable",
            "The receiver and the triggers cannot use the store.",
            "Check the connection that event_store_conn_id names, its server, and the network.",
        ),
        _fault(
            "store_not_shared",
            "Each host has its own events and rate limits: events are not found, and requests exceed rate and quota.",
            "Name a PostgreSQL connection in event_store_conn_id. If all tasks run on one host, or all hosts share "
            "[toggl] state_dir on a disk with file locks, set [toggl] single_host = True.",
        ),
        _warning(
            "store_not_durable",
            "Events that were acknowledged to Toggl could be lost.",
            "Put the store on a local disk ([toggl] state_dir), or into PostgreSQL with event_store_conn_id, with "
            "its default durability.",
        ),
    ),
    "subscription": (
        _fault(
            "no_subscription",
            "Toggl sends no events: no subscription of the workspace points to this connection's receiver.",
            "Run a task with TogglEnsureSubscriptionOperator, or correct webhook_callback_url. `airflow toggl "
            "subscriptions list` shows the subscriptions.",
        ),
        _fault(
            "subscription_disabled",
            "Toggl sends no events while the subscription is disabled.",
            "`airflow toggl subscriptions enable NUMBER`, or run the task that ensures it. Find out who disabled it: "
            "Toggl may do so after many failed deliveries.",
        ),
        _fault(
            "subscription_unvalidated",
            "Toggl sends PINGs but no events until the callback has returned its validation code.",
            "Make sure that the receiver runs and is reachable, then run the task with "
            "TogglEnsureSubscriptionOperator, or `airflow toggl subscriptions ping NUMBER`. The receiver returns the "
            "code.",
        ),
        _fault(
            "plan_limit",
            "The workspace's plan allows fewer than exist, for example after a downgrade. Enabling or changing "
            "fails, and Toggl may stop sending.",
            "Remove filters or use `*:*`, disable or delete other subscriptions, or choose a larger plan.",
        ),
        _warning(
            "events_pending",
            "Toggl has events that it could not deliver yet.",
            "If the receiver was just down, nothing. Otherwise see the check `callback` of the doctor.",
        ),
    ),
    "callback": (
        _fault(
            "callback_unreachable",
            "Deliveries do not arrive: nothing listens at the address, or something on the way blocks them.",
            "Start the receiver (API server with [toggl] receiver_connections, or `airflow toggl receiver`). DNS, "
            "certificate, proxy and firewall must let requests from the internet reach it.",
        ),
        _fault(
            "wrong_secret",
            "Toggl and the receiver have different secrets: every delivery is refused with 401.",
            "Set webhook_secret in the one connection that the receiver and this command read, then run the task "
            "with TogglEnsureSubscriptionOperator, which sends the secret to Toggl. Restart the receiver if its "
            "connection comes from environment variables.",
        ),
        _fault(
            "unknown_connection",
            "A receiver answers, but not for this connection, or it is mounted at another path.",
            "Name the connection in [toggl] receiver_connections or --connections and restart. The path is "
            "/toggl/webhooks/<connection ID>.",
        ),
        _fault(
            "receiver_cannot_store",
            "The receiver answers that it cannot store events now.",
            "Read the receiver's log, and run the check `store` on the receiver's machine.",
        ),
        _fault(
            "callback_refused",
            "Something other than the receiver answers: a proxy, a login page or a filter.",
            "Pass requests to this path on to the receiver unchanged; the signature protects it.",
        ),
        _fault(
            "other_store",
            "The receiver writes to another store than the one that triggers and tasks read here.",
            "Give both the same store: one disk and [toggl] state_dir on one host, PostgreSQL with "
            "event_store_conn_id on several.",
        ),
        _fault(
            "ping_lost",
            "The receiver can be reached from here but not from Toggl, or Toggl signs with another secret.",
            "Make the address reachable from the internet, and run the task with TogglEnsureSubscriptionOperator, "
            "which sets the secret and reports Toggl's reason.",
        ),
    ),
    "triggerer": (
        _fault(
            "triggerer_down",
            "Deferred tasks and sensors do not resume, and watchers start no runs.",
            "Start `airflow triggerer`, and check its log for why it ended.",
        ),
        _fault(
            "triggerer_blind",
            "Triggers are waiting, but none saw the doctor's probe in the event store: they read another store, or "
            "hang.",
            "Give the triggerer the same store as the receiver (one disk, or PostgreSQL with event_store_conn_id). "
            "Restart it and read its log.",
        ),
        _unknown(
            "nothing_waits",
            "Without a waiting trigger, nothing in the triggerer reads the store, so this cannot be tested.",
            "Run the doctor again while a TogglEventSensor is deferred, or with a DAG that an AssetWatcher starts.",
        ),
    ),
    "warehouse": (
        _fault(
            "warehouse_locked",
            "Loads wait for the lock, and fail after [toggl] warehouse_lock_timeout.",
            "Close the session that holds the lock, or open it only while querying (DuckDB: read-only copies). A "
            "load of this package releases it by itself.",
        ),
        _fault(
            "warehouse_read_only",
            "Rows cannot be loaded.",
            "Give the user that runs tasks write access to the file and its folder, or to the schema of the database.",
        ),
        _fault(
            "warehouse_unreachable",
            "Rows cannot be loaded or read.",
            "Check the connection that --warehouse-conn-id names, its server, and the network.",
        ),
        _fault(
            "schema_too_old",
            "An earlier version of the package created the tables. Views and columns that newer tasks and queries "
            "use are missing until they are migrated.",
            "Upgrade the package on every worker. Then run any task that loads into this schema, such as "
            "TogglToSqlOperator: it applies each migration in a transaction and keeps all rows.",
        ),
        _fault(
            "schema_too_new",
            "A newer version of the package created the tables; this version must not write to them.",
            "Upgrade airflow-provider-toggl on this machine, or load into another schema.",
        ),
        _warning(
            "no_tables",
            "Nothing was loaded into this schema yet, or the schema is wrong.",
            "Run a task that loads data: it creates the tables. Check --schema.",
        ),
    ),
    "freshness": (
        _warning(
            "data_stale",
            "A stream was not loaded for more than 26 hours: a DAG is paused, fails or waits.",
            "Check the DAG that loads the stream. If the warehouse is no longer used, forget it on the Toggl page.",
        ),
        _warning(
            "first_load_stopped",
            "The first load of a stream did not complete, and nothing was loaded for more than 26 hours.",
            "Run the task that loads the stream again: it continues where it stopped.",
        ),
    ),
    "pending_events": (
        _warning(
            "events_not_loaded",
            "An event has waited for more than an hour to be loaded.",
            "Check the DAG with TogglEventsToSqlOperator. If it was removed, run `airflow toggl events consumers "
            "--forget NAME`.",
        ),
    ),
    "reconciliation": (
        _warning(
            "deletions_refused",
            "So many entries are missing in Toggl that none was marked as deleted.",
            "Check that the token's owner still sees the whole workspace. If the entries were deleted, approve one "
            "run on the Toggl page.",
        ),
        _warning(
            "entries_unverified",
            "Reconciliation could not verify some entries.",
            "See the reasons on the Toggl page or in the task's log.",
        ),
        _warning(
            "reconciliation_outdated",
            "The last reconciliation is older than 8 days. Changes that webhooks and pulls missed are not repaired.",
            "Check the DAG with TogglReconcileOperator.",
        ),
    ),
}
"""Problems by the check that reports them; each has a status, a name, a meaning and a fix."""

_FOUND = {one.name: (check, one) for check, problems in PROBLEMS.items() for one in problems}


def problem(name: str, text: str, label: str = "", at: datetime | None = None) -> Finding:
    """Return a finding of a problem of the catalogue.

    :param text: what was observed.
    """
    check, known = _FOUND[name]
    return Finding(check, known.status, text, label, known, at)
