"""Everything that the doctor can find wrong: how bad it is, what it means and how it is mended.

``docs/doctor.md`` has the same table; a test holds the two together.
"""

from __future__ import annotations

from airflow_provider_toggl.core.operate.doctor.catalogue_of_events import OF_EVENTS
from airflow_provider_toggl.core.operate.doctor.states import CheckStatus, Problem

_F, _W, _U = CheckStatus.FAULT, CheckStatus.WARNING, CheckStatus.UNKNOWN

PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "versions",
        "unfit_version",
        _F,
        "The provider was not made for it: imports, triggers or landings can fail at any place.",
        "Install versions that fit, the same on every machine of this Airflow: `pip install 'airflow-provider-toggl' "
        "'apache-airflow'` with Airflow's constraints file, or another release of the provider.",
    ),
    Problem(
        "versions",
        "untested_version",
        _W,
        "It may work; nobody has tried.",
        "Look for a newer release of the provider, and try it in a test environment first.",
    ),
    Problem(
        "connection",
        "connection_missing",
        _F,
        "Every operator, hook and the receiver read token, workspace and secret from it.",
        "Make a connection of type Toggl Track with that ID, its password being the API token from the foot of "
        "track.toggl.com/profile; or name another with --conn-id.",
    ),
    Problem(
        "connection",
        "connection_wrong",
        _F,
        "The hook refuses to ask Toggl with it.",
        "Correct that field or type of the connection, or name another connection with --conn-id.",
    ),
    Problem(
        "connection",
        "no_workspace",
        _W,
        "Tasks that name none fail; the doctor looks at the default workspace of the token's owner.",
        "Set workspace_id in the connection's extra.",
    ),
    Problem(
        "connection",
        "no_webhook_secret",
        _F,
        "Nobody can prove to be Toggl: the receiver refuses every delivery, and no subscription can be made.",
        "Set webhook_secret in the connection's extra to a long random text, then run the task with "
        "TogglEnsureSubscriptionOperator, which gives it to Toggl.",
    ),
    Problem(
        "connection",
        "two_secrets",
        _W,
        "A rotation of the webhook secret is not ended: deliveries signed with the old one are accepted too.",
        "When the subscription has the new secret, clear previous_webhook_secret in the connection's extra.",
    ),
    Problem(
        "token",
        "wrong_token",
        _F,
        "Toggl does not know the token: it was reset, copied wrongly, or belongs to a deleted user.",
        "Copy the API token from the foot of track.toggl.com/profile into the connection's password.",
    ),
    Problem(
        "token",
        "toggl_down",
        _F,
        "Toggl itself has trouble; nothing here is to blame. Tasks retry, and webhooks come later.",
        "Wait, look at https://status.toggl.com, and run the doctor again.",
    ),
    Problem(
        "token",
        "toggl_unreachable",
        _F,
        "No request of this machine gets an answer: name, network, proxy or certificates.",
        "Look at DNS, firewall and the HTTPS_PROXY variable of the processes of Airflow, and at the connection's host.",
    ),
    Problem(
        "token",
        "not_toggl",
        _F,
        "Whoever answers at that address does not speak as Toggl does.",
        "Clear the connection's host, or set it to the right base URL; look at proxies on the way.",
    ),
    Problem(
        "token",
        "rate_limited",
        _U,
        "Other programs ask with the same token faster than Toggl allows.",
        "Try again in a few minutes; lower requests_per_second in the connection's extra.",
    ),
    Problem(
        "quota",
        "quota_gone",
        _F,
        "Until the reset Toggl refuses every request of that lane. Tasks that land defer until then by themselves.",
        "Wait for the reset. To need less: fewer runs, webhooks instead of polling, a token for other programs alone, "
        "or a larger plan; `airflow toggl plan` tells what a load costs.",
    ),
    Problem(
        "quota",
        "quota_low",
        _W,
        "The next landing may have to wait for the reset.",
        "Nothing, if it is seldom; see `airflow toggl plan` otherwise.",
    ),
    Problem(
        "rights",
        "not_admin",
        _F,
        "Who is no administrator of the workspace gets only their own time entries from reports, no rates or amounts, "
        "not all people and projects, and webhooks of only what they may see; what is missing looks like deleted.",
        "Make the token's owner an administrator of the workspace again (Toggl: Members), or use an administrator's "
        "token. If that is how it is meant to be, run the doctor with --member.",
    ),
    Problem(
        "rights",
        "member_only",
        _W,
        "As told by --member: only what the token's owner may see is landed.",
        "Nothing.",
    ),
    Problem(
        "rights",
        "no_workspace_access",
        _F,
        "Nothing of the workspace can be read: the number is wrong, or the token's owner was removed from it.",
        "Check workspace_id in the connection, and that the token's owner is an active member of that workspace.",
    ),
    Problem(
        "clock",
        "clock_off",
        _F,
        "Quota windows, look-back and runs are reckoned with this clock: changes can be passed over or read twice, "
        "tokens and certificates refused.",
        "Let the machine keep its time by NTP (`timedatectl set-ntp true`, chrony), also the host of containers.",
    ),
    Problem(
        "clock",
        "clock_drifts",
        _W,
        "Still harmless; a clock that is not kept goes on drifting.",
        "See that the machine keeps its time by NTP.",
    ),
    Problem(
        "store",
        "store_read_only",
        _F,
        "Deliveries are answered 503 and come again for a while; then Toggl gives up and they are lost.",
        "Give every user that runs a part of Airflow the right to write the file and its folder, on a disk that is "
        "mounted writable.",
    ),
    Problem(
        "store",
        "disk_full",
        _F,
        "No delivery can be stored: they are answered 503 until there is room.",
        "Make room on the store's disk, or remove old events: `airflow toggl events prune --older-than 30d`.",
    ),
    Problem(
        "store",
        "disk_low",
        _W,
        "When the disk is full, deliveries are refused.",
        "Make room, or remove old events: `airflow toggl events prune --older-than 30d`.",
    ),
    Problem(
        "store",
        "store_locked",
        _F,
        "Another process keeps a write open; deliveries are answered 503 meanwhile.",
        "End the session that holds it (an analyst's shell, a backup that locks), then run the doctor again.",
    ),
    Problem(
        "store",
        "store_damaged",
        _F,
        "Events may be lost or wrong.",
        "Keep a copy, then restore a backup or begin a new store; the next pull and reconciliation bring what is "
        "missing.",
    ),
    Problem(
        "store",
        "store_too_new",
        _F,
        "A newer version of the package made its tables; this one does not know them.",
        "Upgrade airflow-provider-toggl on this machine to the version of the others.",
    ),
    Problem(
        "store",
        "store_unreachable",
        _F,
        "Neither receiver nor triggers can use it.",
        "Check the connection that event_store_conn_id names, its server, and the way there.",
    ),
    Problem(
        "store",
        "store_not_durable",
        _W,
        "What was acknowledged to Toggl could be lost.",
        "Put the store on a local disk ([toggl] state_dir), or into PostgreSQL by event_store_conn_id, with its "
        "default durability.",
    ),
    *OF_EVENTS,
)

BY_NAME: dict[str, Problem] = {trouble.name: trouble for trouble in PROBLEMS}
