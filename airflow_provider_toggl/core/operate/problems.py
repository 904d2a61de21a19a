"""The catalogue of known problems: what each means, and how to fix it. ``docs/doctor.md`` has the same table."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_toggl.core.operate.findings import CheckStatus, Finding, Problem

_F, _W, _U = CheckStatus.FAULT, CheckStatus.WARNING, CheckStatus.UNKNOWN

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "versions",
        "unfit_version",
        _F,
        "The provider does not support this version. Imports, triggers or loads can fail.",
        "Install supported versions, the same on every machine of this Airflow: `pip install 'airflow-provider-toggl' "
        "'apache-airflow'` with Airflow's constraints file, or another release of the provider.",
    ),
    Problem(
        "versions",
        "untested_version",
        _W,
        "It may work, but it was not tested.",
        "Check for a newer release of the provider, and try it in a test environment first.",
    ),
    Problem(
        "connection",
        "connection_missing",
        _F,
        "Operators, hooks and the receiver read the token, the workspace and the secret from this connection.",
        "Create a connection of type Toggl Track with this ID. Its password is the API token from the foot of "
        "track.toggl.com/profile. Or name another connection with --conn-id.",
    ),
    Problem(
        "connection",
        "connection_wrong",
        _F,
        "The hook cannot send requests with this connection.",
        "Correct the field or the type of the connection, or name another connection with --conn-id.",
    ),
    Problem(
        "connection",
        "no_workspace",
        _W,
        "Tasks that do not name a workspace fail. The doctor checks the default workspace of the token's owner.",
        "Set workspace_id in the connection's extra.",
    ),
    Problem(
        "connection",
        "no_webhook_secret",
        _F,
        "The receiver cannot verify deliveries and refuses all of them; subscriptions cannot be created.",
        "Set webhook_secret in the connection's extra to a long random text, then run the task with "
        "TogglEnsureSubscriptionOperator, which sends it to Toggl.",
    ),
    Problem(
        "connection",
        "two_secrets",
        _W,
        "A rotation of the webhook secret is not complete: deliveries signed with the old secret are still accepted.",
        "When the subscription has the new secret, clear previous_webhook_secret in the connection's extra.",
    ),
    Problem(
        "token",
        "wrong_token",
        _F,
        "Toggl rejects the token: it was reset, copied incorrectly, or belongs to a deleted user.",
        "Copy the API token from the foot of track.toggl.com/profile into the connection's password.",
    ),
    Problem(
        "token",
        "toggl_down",
        _F,
        "Toggl is down. Tasks retry, and webhooks arrive later.",
        "Wait, check https://status.toggl.com, and run the doctor again.",
    ),
    Problem(
        "token",
        "toggl_unreachable",
        _F,
        "Requests from this machine are not answered. The cause is DNS, the network, a proxy or a certificate.",
        "Check DNS, the firewall, the HTTPS_PROXY variable of Airflow's processes, and the connection's host.",
    ),
    Problem(
        "token",
        "not_toggl",
        _F,
        "The server at this address does not answer as Toggl does.",
        "Clear the connection's host, or set it to the right base URL. Check proxies on the way.",
    ),
    Problem(
        "token",
        "rate_limited",
        _U,
        "Other programs use the same token and send requests faster than Toggl allows.",
        "Try again in a few minutes. Lower requests_per_second in the connection's extra.",
    ),
    Problem(
        "quota",
        "quota_gone",
        _F,
        "Toggl refuses every request of this lane until the reset. Tasks that load data defer until then.",
        "Wait for the reset. To need fewer requests: run less often, use webhooks instead of polling, use another "
        "token for other programs, or choose a larger plan. `airflow toggl plan` shows the cost of a load.",
    ),
    Problem(
        "quota",
        "quota_low",
        _W,
        "The next load may have to wait for the reset.",
        "If this is rare, nothing. Otherwise see `airflow toggl plan`.",
    ),
    Problem(
        "rights",
        "not_admin",
        _F,
        "For a member who is not an administrator, reports have only their own time entries and no rates or amounts, "
        "lists lack people and projects, and webhooks lack events. Hidden records look deleted.",
        "Make the token's owner an administrator of the workspace (Toggl: Members), or use an administrator's token. "
        "If a member's token is intended, run the doctor with --member.",
    ),
    Problem(
        "rights",
        "member_only",
        _W,
        "As stated with --member: only what the token's owner may see is loaded.",
        "Nothing.",
    ),
    Problem(
        "rights",
        "no_workspace_access",
        _F,
        "The workspace cannot be read: the number is wrong, or the token's owner was removed from it.",
        "Check workspace_id in the connection, and that the token's owner is an active member of that workspace.",
    ),
    Problem(
        "clock",
        "clock_off",
        _F,
        "Quota windows, look-back and runs depend on this clock. Changes can be skipped or read twice, and tokens and "
        "certificates rejected.",
        "Synchronize the clock by NTP (`timedatectl set-ntp true`, chrony), also on the host of containers.",
    ),
    Problem(
        "clock",
        "clock_drifts",
        _W,
        "Harmless for now, but a clock that is not synchronized drifts further.",
        "Synchronize the clock by NTP.",
    ),
    Problem(
        "store",
        "store_read_only",
        _F,
        "The receiver answers deliveries with 503. Toggl repeats them for a while; then they are lost.",
        "Give every user that runs a part of Airflow write access to the file and its folder, on a disk that is "
        "mounted writable.",
    ),
    Problem(
        "store",
        "disk_full",
        _F,
        "Deliveries cannot be stored. The receiver answers 503 until there is space.",
        "Free space on the store's disk, or remove old events: `airflow toggl events prune --older-than 30d`.",
    ),
    Problem(
        "store",
        "disk_low",
        _W,
        "When the disk is full, deliveries cannot be stored.",
        "Free space, or remove old events: `airflow toggl events prune --older-than 30d`.",
    ),
    Problem(
        "store",
        "store_locked",
        _F,
        "Another process holds a write lock. The receiver answers deliveries with 503 meanwhile.",
        "End the session that holds the lock (an analyst's shell, a backup), then run the doctor again.",
    ),
    Problem(
        "store",
        "store_damaged",
        _F,
        "Events may be lost or wrong.",
        "Keep a copy, then restore a backup or start a new store. The next pull and reconciliation load what is "
        "missing.",
    ),
    Problem(
        "store",
        "store_too_new",
        _F,
        "A newer version of the package created the tables; this version cannot use them.",
        "Upgrade airflow-provider-toggl on this machine to the version of the others.",
    ),
    Problem(
        "store",
        "store_unreachable",
        _F,
        "The receiver and the triggers cannot use the store.",
        "Check the connection that event_store_conn_id names, its server, and the network.",
    ),
    Problem(
        "store",
        "store_not_durable",
        _W,
        "Events that were acknowledged to Toggl could be lost.",
        "Put the store on a local disk ([toggl] state_dir), or into PostgreSQL with event_store_conn_id, with its "
        "default durability.",
    ),
    Problem(
        "subscription",
        "no_subscription",
        _F,
        "Toggl sends no events: no subscription of the workspace points to this connection's receiver.",
        "Run a task with TogglEnsureSubscriptionOperator, or correct webhook_callback_url. "
        "`airflow toggl subscriptions list` shows the subscriptions.",
    ),
    Problem(
        "subscription",
        "subscription_disabled",
        _F,
        "Toggl sends no events while the subscription is disabled.",
        "`airflow toggl subscriptions enable NUMBER`, or run the task that ensures it. Find out who disabled it: Toggl "
        "may do so after many failed deliveries.",
    ),
    Problem(
        "subscription",
        "subscription_unvalidated",
        _F,
        "Toggl sends PINGs but no events until the callback has returned its validation code.",
        "Make sure that the receiver runs and is reachable, then run the task with TogglEnsureSubscriptionOperator, or "
        "`airflow toggl subscriptions ping NUMBER`. The receiver returns the code.",
    ),
    Problem(
        "subscription",
        "plan_limit",
        _F,
        "The workspace's plan allows fewer than exist, for example after a downgrade. Enabling or changing fails, and "
        "Toggl may stop sending.",
        "Remove filters or use `*:*`, disable or delete other subscriptions, or choose a larger plan.",
    ),
    Problem(
        "subscription",
        "events_pending",
        _W,
        "Toggl has events that it could not deliver yet.",
        "If the receiver was just down, nothing. Otherwise see the check `callback` of the doctor.",
    ),
    Problem(
        "callback",
        "callback_unreachable",
        _F,
        "Deliveries do not arrive: nothing listens at the address, or something on the way blocks them.",
        "Start the receiver (API server with [toggl] receiver_connections, or `airflow toggl receiver`). DNS, "
        "certificate, proxy and firewall must let requests from the internet reach it.",
    ),
    Problem(
        "callback",
        "wrong_secret",
        _F,
        "Toggl and the receiver have different secrets: every delivery is refused with 401.",
        "Set webhook_secret in the one connection that the receiver and this command read, then run the task with "
        "TogglEnsureSubscriptionOperator, which sends the secret to Toggl. Restart the receiver if its connection "
        "comes from environment variables.",
    ),
    Problem(
        "callback",
        "unknown_connection",
        _F,
        "A receiver answers, but not for this connection, or it is mounted at another path.",
        "Name the connection in [toggl] receiver_connections or --connections and restart. The path is "
        "/toggl/webhooks/<connection ID>.",
    ),
    Problem(
        "callback",
        "receiver_cannot_store",
        _F,
        "The receiver answers that it cannot store events now.",
        "Read the receiver's log, and run the check `store` on the receiver's machine.",
    ),
    Problem(
        "callback",
        "callback_refused",
        _F,
        "Something other than the receiver answers: a proxy, a login page or a filter.",
        "Pass requests to this path on to the receiver unchanged; the signature protects it.",
    ),
    Problem(
        "callback",
        "other_store",
        _F,
        "The receiver writes to another store than the one that triggers and tasks read here.",
        "Give both the same store: one disk and [toggl] state_dir on one host, PostgreSQL with event_store_conn_id on "
        "several.",
    ),
    Problem(
        "callback",
        "ping_lost",
        _F,
        "The receiver can be reached from here but not from Toggl, or Toggl signs with another secret.",
        "Make the address reachable from the internet, and run the task with TogglEnsureSubscriptionOperator, "
        "which sets the secret and reports Toggl's reason.",
    ),
    Problem(
        "triggerer",
        "triggerer_down",
        _F,
        "Deferred tasks and sensors do not resume, and watchers start no runs.",
        "Start `airflow triggerer`, and check its log for why it ended.",
    ),
    Problem(
        "triggerer",
        "triggerer_blind",
        _F,
        "Triggers are waiting, but none saw the doctor's probe in the event store: they read another store, or hang.",
        "Give the triggerer the same store as the receiver (one disk, or PostgreSQL with event_store_conn_id). "
        "Restart it and read its log.",
    ),
    Problem(
        "triggerer",
        "nothing_waits",
        _U,
        "Without a waiting trigger, nothing in the triggerer reads the store, so this cannot be tested.",
        "Run the doctor again while a TogglEventSensor is deferred, or with a DAG that an AssetWatcher starts.",
    ),
    Problem(
        "warehouse",
        "warehouse_locked",
        _F,
        "Loads wait for the lock, and fail after [toggl] warehouse_lock_timeout.",
        "Close the session that holds the lock, or open it only while querying (DuckDB: read-only copies). A load "
        "of this package releases it by itself.",
    ),
    Problem(
        "warehouse",
        "warehouse_read_only",
        _F,
        "Rows cannot be loaded.",
        "Give the user that runs tasks write access to the file and its folder, or to the schema of the database.",
    ),
    Problem(
        "warehouse",
        "warehouse_unreachable",
        _F,
        "Rows cannot be loaded or read.",
        "Check the connection that --warehouse-conn-id names, its server, and the network.",
    ),
    Problem(
        "warehouse",
        "schema_too_old",
        _F,
        "An earlier version of the package created the tables. Views and columns that newer tasks and queries use are "
        "missing until they are migrated.",
        "Upgrade the package on every worker. Then run any task that loads into this schema, such as "
        "TogglToSqlOperator: it applies each migration in a transaction and keeps all rows.",
    ),
    Problem(
        "warehouse",
        "schema_too_new",
        _F,
        "A newer version of the package created the tables; this version must not write to them.",
        "Upgrade airflow-provider-toggl on this machine, or load into another schema.",
    ),
    Problem(
        "warehouse",
        "no_tables",
        _W,
        "Nothing was loaded into this schema yet, or the schema is wrong.",
        "Run a task that loads data: it creates the tables. Check --schema.",
    ),
    Problem(
        "freshness",
        "data_stale",
        _W,
        "A stream was not loaded for more than 26 hours: a DAG is paused, fails or waits.",
        "Check the DAG that loads the stream. If the warehouse is no longer used, forget it on the Toggl page.",
    ),
    Problem(
        "freshness",
        "first_load_stopped",
        _W,
        "The first load of a stream did not complete, and nothing was loaded for more than 26 hours.",
        "Run the task that loads the stream again: it continues where it stopped.",
    ),
    Problem(
        "pending_events",
        "events_not_loaded",
        _W,
        "An event has waited for more than an hour to be loaded.",
        "Check the DAG with TogglEventsToSqlOperator. If it was removed, run "
        "`airflow toggl events consumers --forget NAME`.",
    ),
    Problem(
        "reconciliation",
        "deletions_refused",
        _W,
        "So many entries are missing in Toggl that none was marked as deleted.",
        "Check that the token's owner still sees the whole workspace. If the entries were deleted, approve one run on "
        "the Toggl page.",
    ),
    Problem(
        "reconciliation",
        "entries_unverified",
        _W,
        "Reconciliation could not verify some entries.",
        "See the reasons on the Toggl page or in the task's log.",
    ),
    Problem(
        "reconciliation",
        "reconciliation_outdated",
        _W,
        "The last reconciliation is older than 8 days. Changes that webhooks and pulls missed are not repaired.",
        "Check the DAG with TogglReconcileOperator.",
    ),
)

PROBLEMS_BY_NAME: dict[str, Problem] = {one.name: one for one in PROBLEMS}


def problem(name: str, text: str, label: str = "", at: datetime | None = None) -> Finding:
    """Return a finding of a problem of the catalogue.

    :param text: what was observed.
    """
    known = PROBLEMS_BY_NAME[name]
    return Finding(known.check, known.status, text, label, known, at)
