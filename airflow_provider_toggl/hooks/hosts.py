"""Finds out whether tasks run on several hosts, which do not see each other's files."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.providers.common.compat.sdk import conf

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.settings import single_host


class NotShared(ConfigurationError):
    """A default file would be used that other hosts do not see."""


def find_reason_for_several_hosts() -> str | None:
    """Return why tasks probably run on several hosts, None if they do not or ``[toggl] single_host`` is set."""
    if single_host():
        return None
    if os.environ.get("AIRFLOW_IS_K8S_EXECUTOR_POD"):
        # Set by the KubernetesExecutor in its pods, where Airflow's Helm chart names the LocalExecutor.
        return "tasks are run by the KubernetesExecutor, each in a pod with a disk of its own"
    executors = [name.split(":")[-1].strip() for name in (conf.get("core", "executor") or "").split(",")]
    distributed = ", ".join(name for name in executors if not name.endswith("LocalExecutor"))
    return f"tasks are run by {distributed}" if distributed else None


SHARE_STATE = "Name a PostgreSQL connection in event_store_conn_id of the Toggl connection."


def check_local_file(what: str, path: Path, cure: str = SHARE_STATE) -> None:
    """Return if all tasks see a default file of this host.

    :param what: what is in the file, for the message.
    :param cure: how hosts share it.
    :raises NotShared: they probably run on several hosts.
    """
    if reason := find_reason_for_several_hosts():
        raise NotShared(
            f"The {what} would be in {path}, a file that other hosts do not see, but {reason}. {cure} "
            "If all tasks run on one host, or all hosts share that folder on a disk with file locks, set [toggl] "
            "single_host = True."
        )
