"""What can be wrong on the way of an event and a row: from the subscription to the warehouse."""

from __future__ import annotations

from airflow_provider_toggl.core.operate.doctor.states import CheckStatus, Problem

_F, _W, _U = CheckStatus.FAULT, CheckStatus.WARNING, CheckStatus.UNKNOWN

OF_EVENTS: tuple[Problem, ...] = (
    Problem(
        "subscription",
        "no_subscription",
        _F,
        "Toggl sends nothing: no subscription of the workspace leads to this connection's receiver.",
        "Run a task with TogglEnsureSubscriptionOperator, or correct webhook_callback_url if another address is "
        "meant; `airflow toggl subscriptions list` shows what is there.",
    ),
    Problem(
        "subscription",
        "subscription_disabled",
        _F,
        "Toggl sends no event while it is disabled.",
        "`airflow toggl subscriptions enable NUMBER`, or run the task that ensures it. Ask who disabled it: Toggl may "
        "do so after many failed deliveries.",
    ),
    Problem(
        "subscription",
        "subscription_unvalidated",
        _F,
        "Toggl sends PINGs but no event before the callback has said its validation code.",
        "See that the receiver runs and is reachable, then run the task with TogglEnsureSubscriptionOperator, or "
        "`airflow toggl subscriptions ping NUMBER`: the receiver answers the code by itself.",
    ),
    Problem(
        "subscription",
        "plan_limit",
        _F,
        "The workspace's plan allows less than there is, as after a downgrade: enabling or changing fails, and Toggl "
        "may stop sending.",
        "Drop filters or let `*:*` stand for all, disable or delete other subscriptions, or take a larger plan.",
    ),
    Problem(
        "subscription",
        "events_pending",
        _W,
        "Toggl has deliveries that were not accepted yet.",
        "Nothing, if it was just down; else see what the step callback says.",
    ),
    Problem(
        "callback",
        "callback_unreachable",
        _F,
        "Deliveries do not arrive: nobody listens there, or something on the way stops them.",
        "Start the receiver (API server with [toggl] receiver_connections, or `airflow toggl receiver`), and let name, "
        "certificate, proxy and firewall lead to it from the internet.",
    ),
    Problem(
        "callback",
        "wrong_secret",
        _F,
        "Toggl and the receiver have different secrets: every delivery is refused with 401.",
        "Set webhook_secret in the one connection that the receiver and this command read, then run the task with "
        "TogglEnsureSubscriptionOperator, which gives the secret to Toggl; restart the receiver if its connection "
        "comes from environment variables.",
    ),
    Problem(
        "callback",
        "unknown_connection",
        _F,
        "There is a receiver, but not for this connection, or it is mounted elsewhere.",
        "Name the connection in [toggl] receiver_connections or --connections and restart; the path is "
        "/toggl/webhooks/<connection ID>.",
    ),
    Problem(
        "callback",
        "receiver_cannot_store",
        _F,
        "The receiver is there, but answers that it cannot keep anything now.",
        "Read the receiver's log, and see what the step store says, on the receiver's machine.",
    ),
    Problem(
        "callback",
        "callback_refused",
        _F,
        "Something answers there that is not this receiver, or stands before it: a proxy, a log-in page, a filter.",
        "Let that path through to the receiver unchanged; the signature protects it.",
    ),
    Problem(
        "callback",
        "other_store",
        _F,
        "The receiver keeps what comes in another store than the one that triggers and tasks here read.",
        "Give both the same store: one disk and [toggl] state_dir on one host, PostgreSQL by event_store_conn_id on "
        "several.",
    ),
    Problem(
        "callback",
        "ping_lost",
        _F,
        "From here the receiver is reached, from Toggl it is not, or Toggl signs with another secret.",
        "Let the address be reachable from the internet, and run the task with TogglEnsureSubscriptionOperator, "
        "which sets the secret and says Toggl's own reason.",
    ),
    Problem(
        "triggerer",
        "triggerer_down",
        _F,
        "Nothing that waits is woken: sensors and tasks that deferred stay so, watchers start nothing.",
        "Start `airflow triggerer`, and look into its log for why it ended.",
    ),
    Problem(
        "triggerer",
        "triggerer_blind",
        _F,
        "Triggers wait, but none saw the doctor's test mark in the event store: they look into another store, or hang.",
        "Let the triggerer reach the same store as the receiver (one disk, or PostgreSQL by event_store_conn_id); "
        "restart it and read its log.",
    ),
    Problem(
        "triggerer",
        "nothing_waits",
        _U,
        "Without a trigger that waits, nothing in the triggerer reads the store, so it cannot be tried.",
        "Run the doctor again while a TogglEventSensor is deferred, or with a DAG that an AssetWatcher starts.",
    ),
    Problem(
        "warehouse",
        "warehouse_locked",
        _F,
        "Landings wait for it, and fail after [toggl] warehouse_lock_timeout.",
        "Close the session that holds it, or open it only for the time of a query (DuckDB: read-only copies); a "
        "landing of this package gives it back by itself.",
    ),
    Problem(
        "warehouse",
        "warehouse_read_only",
        _F,
        "Nothing can be landed.",
        "Give the user that runs tasks the right to write: the file and its folder, or the schema of the database.",
    ),
    Problem(
        "warehouse",
        "warehouse_unreachable",
        _F,
        "Nothing can be landed or read.",
        "Check the connection that --warehouse-conn-id names, its server, and the way there.",
    ),
    Problem(
        "warehouse",
        "schema_too_old",
        _F,
        "An earlier version of the package made the tables; views and columns that newer tasks and queries use are "
        "missing until they are brought up.",
        "Run any task that lands into it once (TogglToSqlOperator, for example): it applies the migrations by itself, "
        "each in a transaction, keeping all rows. Upgrade the package on every worker first.",
    ),
    Problem(
        "warehouse",
        "schema_too_new",
        _F,
        "A newer version of the package made the tables; this one must not write them.",
        "Upgrade airflow-provider-toggl on this machine, or land into another schema.",
    ),
    Problem(
        "warehouse",
        "no_tables",
        _W,
        "Nothing was landed there yet, or it is another schema.",
        "Run a task that lands: it makes the tables. Check --schema.",
    ),
    Problem(
        "warehouse",
        "warehouse_stale",
        _W,
        "No task has landed that stream for long: a DAG is paused, fails or waits.",
        "Look at the DAG that lands it.",
    ),
)
