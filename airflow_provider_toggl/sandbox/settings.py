"""The settings of the sandbox: Toggl's documented behaviour, and choices for what Toggl leaves undocumented."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Plan = Literal["free", "starter", "premium", "enterprise"]

#: Organization requests per window by plan (Toggl's help centre, "API & webhook limits"); `/me`: 30 on each plan.
ORGANIZATION_QUOTA: dict[str, int] = {"free": 30, "starter": 240, "premium": 600, "enterprise": 10_000}
USER_QUOTA = 30


class SettingError(ValueError):
    """An unknown setting, or an invalid value."""


@dataclass
class Settings:
    """The settings.

    Those under "invented" stand for behaviour that Toggl does not document; a client should work with any of their
    values.
    """

    plan: Plan = "free"
    #: Requests per window; None: those of the plan. Must be more than 0.
    organization_quota: int | None = None
    user_quota: int | None = None
    #: False: no quota at all (no 402, no headers).
    quota_enforced: bool = True
    quota_window_seconds: float = 3600.0
    #: "fixed": the first request opens a window that ends as a whole; "sliding": each request leaves it by itself.
    quota_kind: Literal["fixed", "sliding"] = "fixed"
    #: Leaky bucket per token and address: requests per second (0: no limit), and its capacity.
    bucket_rate: float = 1.0
    bucket_capacity: float = 1.0
    bucket_enforced: bool = False
    #: Most rows of a report page.
    largest_page_size: int = 1000
    #: Most days of a report (observed).
    report_range_days: int = 365

    # Invented: Toggl documents none of these.
    #: Time entries that reports show to users who are not administrators: their "own", or "all".
    report_shows_members: Literal["own", "all"] = "own"
    #: On the free plan, reports and /me/time_entries leave out entries that started earlier; None: no limit.
    retention_days: int | None = None
    #: Whether workspace and organization have max_data_retention_days (0: no limit).
    retention_reported: bool = False
    #: Whether reports filter by time_entry_ids, or ignore it (documented as kept for v2 only).
    report_time_entry_ids: Literal["filter", "ignore"] = "filter"
    #: For a page_size above the largest: "cap" it, or "refuse" it with 400.
    page_size_over_largest: Literal["cap", "refuse"] = "cap"
    #: "difference": 1 January to 1 January of the next year is 365 days; "inclusive": it is 366.
    report_range_counts: Literal["difference", "inclusive"] = "difference"
    report_includes_running: bool = True
    #: Whether reports have "" instead of null for a missing description (null in v9).
    report_no_description_is_empty: bool = False
    #: seconds of a running entry in reports: "negative" as in v9, or "elapsed" until now.
    report_running_seconds: Literal["negative", "elapsed"] = "negative"
    #: Rounding 0 with rounding minutes: to the "nearest" (v9's workspace), or "none" (the text of shared reports).
    report_rounding_zero: Literal["nearest", "none"] = "nearest"
    #: start and stop in reports: in the zone of the token's owner (recorded), or in UTC.
    report_times: Literal["user", "utc"] = "user"
    #: Whether summaries return ids of time entries on request.
    summary_gives_ids: bool = True
    #: Where "ids" is: in the sub-groups, in the groups, or in both.
    summary_ids_where: Literal["sub_groups", "groups", "both"] = "sub_groups"
    #: at of v9 time entries: microseconds with Z (December 2024), or whole seconds with +00:00 together with
    #: "permissions": null (April 2024).
    v9_at: Literal["micros", "seconds"] = "micros"
    #: duration of a running entry in v9: minus its unix start (recorded), or -1 (preferred by the documentation).
    running_duration: Literal["minus_start", "minus_one"] = "minus_start"
    #: tags and tag_ids of an entry without tags: [] (recorded) or null.
    no_tags: Literal["empty", "null"] = "empty"
    current_when_idle: Literal["null", "404"] = "null"
    wrong_token_status: Literal[401, 403] = 401
    #: Whether the deletion of a tag changes the at of its entries (observed: no).
    tag_deletion_moves_at: bool = False
    #: Whether the deletion of a task changes the at of its entries.
    task_deletion_moves_at: bool = True
    #: Whether the deletion of a project changes the at of the entries that stay without one.
    project_deletion_moves_at: bool = True
    #: Whether the deletion of a client changes the at of its projects.
    client_deletion_moves_at: bool = True
    #: Whether a listed deleted client has server_deleted_at (absent from the definition).
    clients_report_deletion: bool = True
    #: Whether created_with is required for a new time entry (documented).
    created_with_needed: bool = True
    #: Days back that since and start_date of /me/time_entries reach.
    me_entries_horizon_days: int = 90
    #: Days back that /me/time_entries reaches without parameters (recorded: at least 15).
    me_entries_default_days: int = 90
    #: Whether a billable entry on the free plan gets a 402 (the text is in Toggl's apps; the status is a guess).
    billable_needs_paid_plan: bool = True
    #: Whether POST of tasks on the free plan gets a 402.
    tasks_need_paid_plan: bool = True
    tags_largest_per_page: int = 200
    #: Whether answers have the keys of the definitions of 2026 that recordings of 2024 lack.
    newer_keys: bool = True
    #: Whether GET /workspaces/{id}/users lists removed users, unmarked, unless exclude_deleted is given.
    users_list_deleted: bool = True
    #: Whether report filters of paid plans (billable, durations) get a 402 on the free plan.
    report_paid_filters_refused: bool = True
    #: Page size of the lists of reports (filters/*, search/*); documented for projects only.
    report_lists_page_size: int = 201
    #: Whether GET /me/quota itself counts against the user's quota.
    quota_request_counts: bool = True
    #: What X-Toggl-Quota-Resets-In and /me/quota have before the first request: 0, or the whole window.
    unused_quota_resets_in: Literal["zero", "window"] = "zero"
    #: Whether a 429 has a Retry-After header.
    retry_after: bool = False
    #: Whether a detailed report with first_id but no first_timestamp is empty (observed by one client).
    first_id_needs_timestamp: bool = True
    #: POST and PUT of a tag return one object (observed) or an array (documented).
    tag_write_answer: Literal["object", "array"] = "object"
    #: The password of all users, for authentication by e-mail and password.
    password: str = "sandbox-password"  # noqa: S105 - made up, and meant to be known

    # Invented: the content of webhook events.
    #: Payload of a deletion: the whole object ("full"), its ids ("ids"), or null ("null"). None was ever published.
    webhook_deleted_payload: Literal["full", "ids", "null"] = "full"
    #: Where metadata has the id: "named" (time_entry_id, captured 2023), "entity_id" (required by a client of 2025).
    webhook_id_key: Literal["named", "entity_id", "both"] = "named"
    #: Payload keys: with legacy ones (wid, uid, pid; captured 2023), or without.
    webhook_keys: Literal["legacy", "newer"] = "legacy"
    #: No tags: tags [] beside tag_ids null ("captured", 2023), both [] ("empty"), both null ("null").
    webhook_no_tags: Literal["captured", "empty", "null"] = "captured"
    #: Whether < > & are escaped, as by Go's encoder.
    webhook_escape_html: bool = True
    #: Id of the first event. Those of 2023 were 8.2e15 and grew; the default soon passes 2^53.
    webhook_first_event_id: int = 2**53 - 100
    #: The User-Agent of deliveries (never published).
    webhook_user_agent: str = "Go-http-client/1.1"
    #: Whether a bulk edit creates an event for each entry.
    webhook_bulk_events: bool = True
    #: Whether side effects of a request (it stops the running timer) create events.
    webhook_side_effect_events: bool = True
    # Invented: the delivery of webhook events.
    #: Real seconds without progress after which an attempt has failed.
    webhook_timeout_seconds: float = 10.0
    #: Real seconds before each further attempt, separated by commas; after the last one an event is given up.
    webhook_retry_seconds: str = "0.5,1,5,30,300"
    #: Events given up in a row that disable a subscription; 0: never.
    webhook_disable_after: int = 0
    #: Whether each attempt has a new timestamp (documented), or that of the first one.
    webhook_timestamp_renewed: bool = True
    #: Deliveries of one subscription at once; with 2 or more, their order is random.
    webhook_parallel: int = 1
    # Invented: the Webhooks API.
    #: Whether the answer to a creation already shows the validation by its PING.
    webhook_validated_in_answer: bool = True
    #: Whether a changed URL must be validated again.
    webhook_url_change_unvalidates: bool = True
    #: Whether lists show the secret to its creator (clients read it there; a later sample lacks it).
    webhook_list_returns_secret: bool = True
    #: Whether the event log exists (absent from the current definition).
    webhook_events_log: bool = True
    webhook_events_page: int = 50
    #: How a filter with * counts against the limit: as one "row", or as all "events" that it matches.
    webhook_star_counts: Literal["row", "events"] = "row"
    #: Whether requests to this API count against the organization's quota.
    webhook_calls_count: bool = False
    #: Errors as a JSON string, or as plain text.
    webhook_errors: Literal["json", "text"] = "json"

    quota_text: str = "You have hit your hourly limit for API calls. Your quota will reset in {seconds} seconds."

    def lane_quota(self, lane: str) -> int:
        """Return the requests per window of a lane (``user`` or ``organization``)."""
        if lane == "user":
            return USER_QUOTA if self.user_quota is None else self.user_quota
        return ORGANIZATION_QUOTA[self.plan] if self.organization_quota is None else self.organization_quota

    def retry_seconds(self) -> list[float]:
        """Return the seconds before each further attempt to deliver an event."""
        return [float(text) for text in self.webhook_retry_seconds.split(",") if text]

    def update(self, changes: dict[str, Any]) -> None:
        """Change settings by name, all or none.

        :raises SettingError: an unknown name or an invalid value; nothing was changed.
        """
        known = {item.name for item in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise SettingError(f"No such setting: {', '.join(unknown)}. Settings: {', '.join(sorted(known))}.")
        types = get_type_hints(type(self))
        for name, value in changes.items():
            _check(name, value, types[name])
        for name, value in changes.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """Return all settings as JSON values."""
        return asdict(self)


_SECONDS = r"[0-9]{1,6}(\.[0-9]{1,6})?"
_RETRY_SECONDS = re.compile(rf"({_SECONDS}(,{_SECONDS})*)?")
#: The least value of a number; the others must be more than 0.
_LEAST: dict[str, float] = {
    "bucket_rate": 0,
    "bucket_capacity": 1,
    "tags_largest_per_page": 1,
    "largest_page_size": 1,
    "webhook_disable_after": 0,
}


def _check(name: str, value: Any, wanted: Any) -> None:
    if not _fits(value, wanted):
        raise SettingError(f"{name} must be {_describe(wanted)}, not {value!r}.")
    if name == "webhook_retry_seconds" and not _RETRY_SECONDS.fullmatch(value):
        raise SettingError(f"{name} must be numbers of seconds separated by commas, or empty, not {value!r}.")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or get_origin(wanted) is Literal:
        return
    least = _LEAST.get(name)
    if not math.isfinite(value) or (value <= 0 if least is None else value < least):
        raise SettingError(f"{name} must be {'more than 0' if least is None else f'{least} or more'}, not {value!r}.")


def _fits(value: Any, wanted: Any) -> bool:
    origin = get_origin(wanted)
    if origin is Literal:
        return any(value == allowed and type(value) is type(allowed) for allowed in get_args(wanted))
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(wanted))
    if wanted is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _describe(wanted: Any) -> str:
    """Describe a type in words."""
    origin = get_origin(wanted)
    if origin is Literal:
        return "one of " + ", ".join(repr(allowed) for allowed in get_args(wanted))
    if origin in (Union, UnionType):
        return " or ".join(_describe(one) for one in get_args(wanted))
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text", type(None): "null"}
    return names[wanted]
