"""One walk of the doctor: what was ordered, and what is known by now."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_provider_toggl.core.client.resources.subscriptions import Found
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.doctor.timeout import within
from airflow_provider_toggl.core.operate.findings import Finding, skipped

T = TypeVar("T")

TOKEN_NEEDED = "It needs a token that Toggl takes."  # noqa: S105 - words
ANSWER_NEEDED = "It needs an answer of Toggl, and none came."
QUOTA_NEEDED = "It needs a request, and the quota is used up."
NO_WEBHOOKS = "The connection has neither webhook_secret nor webhook_callback_url."


@dataclass(frozen=True)
class CheckOptions:
    """What is to be looked at.

    :param warehouse_conn_id: None: the default warehouse, where there is one.
    :param schema: of the warehouse's tables.
    :param callback_url: instead of the connection's.
    :param member: whether it is meant that the token's owner is no administrator.
    :param ping: whether PINGs are sent to the callback.
    :param patience: seconds that a single look may take.
    """

    conn_id: str = "toggl_default"
    warehouse_conn_id: str | None = None
    schema: str = "toggl"
    callback_url: str | None = None
    member: bool = False
    ping: bool = True
    patience: float = 10.0


@dataclass
class CheckContext:
    """One walk: what was ordered, and what is known by now."""

    order: CheckOptions
    findings: list[Finding] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    session: TogglSession | None = None
    workspace: Mapping[str, Any] | None = None
    own: Found | None = None
    store: EventStore | None = None
    asked: str = ""
    waits_until: float = 0.0

    def add(self, *findings: Finding) -> None:
        """Note findings."""
        self.findings += findings

    def note_wait(self, seconds: float) -> None:
        """Note that the session begins to wait before it sends; it is told so itself."""
        self.waits_until = time.monotonic() + seconds

    def skip(self, why: str, *steps: str) -> None:
        """Note that steps are left out."""
        self.add(*(skipped(step, why) for step in steps))

    def within(self, work: Callable[[], T], times: float = 1.0) -> T:
        """Return what the work returns, in time.

        :raises ConfigurationError: the quota book cannot be used, which only a full or broken disk causes.
        """
        try:
            return within(self.order.patience * times, work)
        except sqlite3.Error as error:
            raise ConfigurationError(f"The quota book in [toggl] state_dir cannot be used: {error}.") from None

    @property
    def secret(self) -> str:
        """The secret that deliveries are signed with, an empty text where none is set."""
        return str(self.extra.get("webhook_secret") or "")

    @property
    def accepted(self) -> tuple[str, ...]:
        """All secrets that the receiver accepts."""
        return tuple(str(one) for one in (self.secret, self.extra.get("previous_webhook_secret")) if one)

    @property
    def wants_webhooks(self) -> bool:
        """Whether anything says that webhooks are used."""
        return bool(self.secret or self.extra.get("webhook_callback_url") or self.order.callback_url)
