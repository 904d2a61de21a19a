"""What all checks of the doctor share: the options, what is known so far, the findings, and a time limit."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_toggl.core.client.resources.subscriptions import Subscription
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.findings import Finding, Report, skipped

T = TypeVar("T")

CHECKS = (
    "versions",
    "connection",
    "token",
    "plan",
    "quota",
    "rights",
    "clock",
    "store",
    "subscription",
    "callback",
    "triggerer",
    "warehouse",
    "freshness",
)
"""The order of the report: the way of an event and a row."""
NEEDS_TOKEN = "Needs a valid token."  # noqa: S105 - words
NEEDS_ANSWER = "Needs an answer of Toggl, and none came."
NEEDS_QUOTA = "Needs a request, and the quota is used up."
NEEDS_WORKSPACE = "Needs the workspace."
NO_WEBHOOKS = "The connection has neither webhook_secret nor webhook_callback_url."


@dataclass(frozen=True)
class CheckOptions:
    """What to check.

    :param warehouse_conn_id: None: the default warehouse, if there is one.
    :param schema: of the warehouse's tables.
    :param callback_url: instead of the connection's.
    :param member: the token's owner is not meant to be an administrator.
    :param ping: send PINGs to the callback.
    :param timeout: seconds for each check.
    """

    conn_id: str = "toggl_default"
    warehouse_conn_id: str | None = None
    schema: str = "toggl"
    callback_url: str | None = None
    member: bool = False
    ping: bool = True
    timeout: float = 10.0


class CheckTimeout(Exception):
    """A check did not end in time. It may continue in its thread, which ends with the process."""


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises, if it ends in time.

    :raises CheckTimeout: it did not.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the calling thread
            errors.append(error)

    # The end of the process does not wait for a daemon thread.
    thread = threading.Thread(target=run, name="toggl-doctor", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise CheckTimeout(f"No result within {seconds:g} s.")
    return results[0]


@dataclass
class CheckContext:
    """One run of the doctor: its options, what earlier checks found for later ones, and the findings.

    :param extra: the connection's extra.
    :param workspace: as Toggl returned it.
    :param own: the subscription that delivers for the connection.
    :param probe: the value of the probe in the event store, which a trigger answers.
    :param waits_until: when the session may send its next request, by the monotonic clock.
    """

    options: CheckOptions
    findings: list[Finding] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    session: TogglSession | None = None
    workspace: Mapping[str, Any] | None = None
    own: Subscription | None = None
    store: EventStore | None = None
    probe: str = ""
    waits_until: float = 0.0

    def add(self, *findings: Finding) -> None:
        """Add findings."""
        self.findings += findings

    def skip(self, reason: str, *checks: str) -> None:
        """Add a finding for each check that is left out."""
        self.add(*(skipped(check, reason) for check in checks))

    def has(self, problem: str) -> bool:
        """Whether a problem was found."""
        return any(one.problem is not None and one.problem.name == problem for one in self.findings)

    def record_wait(self, seconds: float) -> None:
        """Record that the session waits before it sends a request."""
        self.waits_until = time.monotonic() + seconds

    def within(self, work: Callable[[], T], times: float = 1.0) -> T:
        """Return what ``work`` returns, within the timeout.

        :param times: how many timeouts it may take.
        :raises ConfigurationError: the rate-limit state cannot be used, which only a full or broken disk causes.
        """
        try:
            return run_within(self.options.timeout * times, work)
        except sqlite3.Error as error:
            raise ConfigurationError(f"The rate-limit state in [toggl] state_dir cannot be used: {error}.") from None

    def report(self) -> Report:
        """Return the findings in the order of the checks."""
        ordered = sorted(self.findings, key=lambda one: CHECKS.index(one.check))
        return Report(ordered, self.session.spent if self.session else 0)

    @property
    def secret(self) -> str:
        """The secret that deliveries are signed with, empty if none is set."""
        return str(self.extra.get("webhook_secret") or "")

    @property
    def accepted_secrets(self) -> tuple[str, ...]:
        """All secrets that the receiver accepts."""
        return tuple(str(one) for one in (self.secret, self.extra.get("previous_webhook_secret")) if one)

    @property
    def uses_webhooks(self) -> bool:
        """Whether the connection or the options name a secret or a callback."""
        return bool(self.secret or self.extra.get("webhook_callback_url") or self.options.callback_url)
