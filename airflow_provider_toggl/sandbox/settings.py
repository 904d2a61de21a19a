"""Everything about the sandbox that can be switched, with what is Toggl's and what is invented."""

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
    """A setting that does not exist, or a value it cannot have."""


@dataclass
class Settings:
    """The switches.

    Those under "invented" stand for what Toggl leaves undocumented: a client must survive each of their values.
    """

    plan: Plan = "free"
    #: None: what the plan gives. 0 or less is refused.
    organization_quota: int | None = None
    user_quota: int | None = None
    #: False: no quota at all (no 402, no headers).
    quota_enforced: bool = True
    quota_window_seconds: float = 3600.0
    #: "fixed": opened by the first request, then reset at once; "sliding": each request leaves the window on its own.
    quota_kind: Literal["fixed", "sliding"] = "fixed"
    #: Leaky bucket per token and address: requests a second, and how many may stand in it. rate 0: none.
    bucket_rate: float = 1.0
    bucket_capacity: float = 1.0
    bucket_enforced: bool = False
    #: Rows that a report page can have at most, whatever is asked for.
    largest_page_size: int = 1000
    #: Days that a report may span at most (observed).
    report_range_days: int = 365

    # invented: nobody documents these
    #: Whose entries reports show to who is no administrator: their "own", or "all". Administrators see all.
    report_shows_members: Literal["own", "all"] = "own"
    #: On the free plan: entries that started more days ago are not in reports nor in /me/time_entries; None: no limit.
    retention_days: int | None = None
    #: Whether workspace and organization tell that as max_data_retention_days (0: none); else they have no such key.
    retention_told: bool = False
    #: Whether time_entry_ids is a filter of reports, or ignored: it is documented as kept for v2 only.
    report_time_entry_ids: Literal["filter", "ignore"] = "filter"
    #: What a report does with a page_size over the largest: "cap" it, or "refuse" with 400.
    page_size_over_largest: Literal["cap", "refuse"] = "cap"
    #: "difference": 1 January to 1 January of the next year is 365 days; "inclusive": it is 366.
    report_range_counts: Literal["difference", "inclusive"] = "difference"
    report_includes_running: bool = True
    #: Whether reports give "" for an entry that has no description (null in v9), or null.
    report_no_description_is_empty: bool = False
    #: seconds of a running entry in reports: "negative" as v9's duration, or "elapsed" until now.
    report_running_seconds: Literal["negative", "elapsed"] = "negative"
    #: What rounding 0 with rounding minutes does: to the "nearest" (v9's workspace), or "none" (shared reports' text).
    report_rounding_zero: Literal["nearest", "none"] = "nearest"
    #: start and stop in reports: in the token owner's zone with its offset (recorded), or in UTC.
    report_times: Literal["user", "utc"] = "user"
    #: Whether summaries give entry ids when asked for.
    summary_gives_ids: bool = True
    #: Where they stand as "ids": in the sub-groups, in the groups, or in both.
    summary_ids_where: Literal["sub_groups", "groups", "both"] = "sub_groups"
    #: at of v9 time entries: microseconds with Z (December 2024), or whole seconds with +00:00 and with that
    #: "permissions": null (April 2024).
    v9_at: Literal["micros", "seconds"] = "micros"
    #: duration of a running entry in v9: minus its unix start (recorded), or -1 (what the documents prefer).
    running_duration: Literal["minus_start", "minus_one"] = "minus_start"
    #: Reads of no tags: [] (recorded) or null.
    no_tags: Literal["empty", "null"] = "empty"
    current_when_idle: Literal["null", "404"] = "null"
    wrong_token_status: Literal[401, 403] = 401
    #: Whether a tag's deletion moves the at of the entries that had it (it does not, as far as anybody saw).
    tag_deletion_moves_at: bool = False
    #: Whether a task's deletion moves the at of the entries that had it.
    task_deletion_moves_at: bool = True
    #: Whether the deletion of a project moves the at of the entries that it leaves without one.
    project_deletion_moves_at: bool = True
    #: Whether a client's deletion moves the at of the projects that had it.
    client_deletion_moves_at: bool = True
    #: Whether a deleted client is marked server_deleted_at where it is listed (the definition has no such field).
    clients_tell_deletion: bool = True
    #: Whether a time entry can be created without created_with (documented as a must).
    created_with_needed: bool = True
    #: Days back that since and start_date of /me/time_entries reach.
    me_entries_horizon_days: int = 90
    #: Days back that /me/time_entries reaches when nothing is asked (recorded: at least 15).
    me_entries_default_days: int = 90
    #: Making an entry billable on the free plan answers 402 (Toggl's own apps know the text; the status is a guess).
    billable_needs_paid_plan: bool = True
    #: POST of tasks on the free plan answers 402.
    tasks_need_paid_plan: bool = True
    tags_largest_per_page: int = 200
    #: Keys that the definitions and clients of 2026 have and the recordings of 2024 have not.
    newer_keys: bool = True
    #: Whether GET /workspaces/{id}/users gives those who left too, unless asked to exclude_deleted; nothing marks them.
    users_list_deleted: bool = True
    #: Whether report filters of paid plans (billable, durations) are refused with 402 on the free plan.
    report_paid_filters_refused: bool = True
    #: Rows of a page of the lists of reports (filters/*, search/*); documented for projects only.
    report_lists_page_size: int = 201
    #: Whether GET /me/quota itself takes a request of the user lane.
    quota_request_counts: bool = True
    #: What X-Toggl-Quota-Resets-In and /me/quota say of a window nobody opened: 0, or the whole window.
    unused_quota_resets_in: Literal["zero", "window"] = "zero"
    #: Whether a 429 has a Retry-After header.
    retry_after: bool = False
    #: first_id without first_timestamp in a detailed report gives no rows at all (observed by one client).
    first_id_needs_timestamp: bool = True
    #: POST and PUT of a tag answer one object (observed) or an array (documented).
    tag_write_answer: Literal["object", "array"] = "object"
    #: The password that goes with each user's e-mail, where Toggl takes e-mail and password.
    password: str = "sandbox-password"  # noqa: S105 - made up, and meant to be known

    # What webhooks send.
    #: What a delete tells: the whole object ("full"), its ids alone ("ids"), or nothing ("null"). Nobody has shown one.
    webhook_deleted_payload: Literal["full", "ids", "null"] = "full"
    #: Where metadata have the id: "named" (time_entry_id, captured 2023), "entity_id" (required by a client of 2025).
    webhook_id_key: Literal["named", "entity_id", "both"] = "named"
    #: Payload keys: with the legacy ones (wid, uid, pid; captured 2023), or without.
    webhook_keys: Literal["legacy", "newer"] = "legacy"
    #: No tags: tags [] beside tag_ids null ("captured", 2023), both [] ("empty"), both null ("null").
    webhook_no_tags: Literal["captured", "empty", "null"] = "captured"
    #: Whether < > & are escaped, as Go's encoder does by default.
    webhook_escape_html: bool = True
    #: Id of the first event. Those of 2023 were 8.2e15 and grew; the default soon passes 2^53.
    webhook_first_event_id: int = 2**53 - 100
    #: The User-Agent of deliveries; nobody prints it.
    webhook_user_agent: str = "Go-http-client/1.1"
    #: Whether each entry of a bulk edit gives an event.
    webhook_bulk_events: bool = True
    #: Whether what a request changes besides what it names (a timer that is stopped by another) gives events.
    webhook_side_effect_events: bool = True
    # How webhooks are delivered; all of it is invented.
    #: Real seconds without a sign of the callback after which an attempt has failed.
    webhook_timeout_seconds: float = 10.0
    #: Real seconds until each further attempt, between commas; after the last one an event is given up.
    webhook_retry_seconds: str = "0.5,1,5,30,300"
    #: So many events given up in a row disable a subscription; 0: never.
    webhook_disable_after: int = 0
    #: Whether each attempt has a new timestamp (documented), or that of the first.
    webhook_timestamp_renewed: bool = True
    #: Deliveries of one subscription that are under way at once; from 2 on, order is by chance.
    webhook_parallel: int = 1
    # What the API of webhooks does.
    #: Whether a validation in the PING of the creation shows in its answer.
    webhook_validated_in_answer: bool = True
    #: Whether a changed URL must be validated again.
    webhook_url_change_unvalidates: bool = True
    #: Whether lists tell the secret to its creator (clients read it there; a later sample of the documents lacks it).
    webhook_list_tells_secret: bool = True
    #: Whether the log of events is served; it is absent from the current definition.
    webhook_events_log: bool = True
    webhook_events_page: int = 50
    #: How a filter with * counts against the events of a webhook: as one row, or as all that it lets through.
    webhook_star_counts: Literal["row", "events"] = "row"
    #: Whether these calls take requests of the organization's quota.
    webhook_calls_count: bool = False
    #: Errors as a JSON string, or as plain text.
    webhook_errors: Literal["json", "text"] = "json"

    quota_text: str = "You have hit your hourly limit for API calls. Your quota will reset in {seconds} seconds."

    def lane_quota(self, lane: str) -> int:
        """Return how many requests a window has in that lane (``user`` or ``organization``)."""
        if lane == "user":
            return USER_QUOTA if self.user_quota is None else self.user_quota
        return ORGANIZATION_QUOTA[self.plan] if self.organization_quota is None else self.organization_quota

    def retry_seconds(self) -> list[float]:
        """Return how long to wait before each further attempt to deliver an event."""
        return [float(text) for text in self.webhook_retry_seconds.split(",") if text]

    def update(self, changes: dict[str, Any]) -> None:
        """Change settings by name, all or none.

        :raises SettingError: a name is unknown or a value is not one it can have; nothing was changed.
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
        """Return all settings as JSON can hold them."""
        return asdict(self)


_SECONDS = r"[0-9]{1,6}(\.[0-9]{1,6})?"
_RETRY_SECONDS = re.compile(rf"({_SECONDS}(,{_SECONDS})*)?")
#: The least value of each number; what is not here must be more than 0.
_LEAST: dict[str, float] = {
    "bucket_rate": 0,
    "bucket_capacity": 1,
    "tags_largest_per_page": 1,
    "largest_page_size": 1,
    "webhook_disable_after": 0,
}


def _check(name: str, value: Any, wanted: Any) -> None:
    if not _fits(value, wanted):
        raise SettingError(f"{name} is {_said(wanted)}, not {value!r}.")
    if name == "webhook_retry_seconds" and not _RETRY_SECONDS.fullmatch(value):
        raise SettingError(f"{name} is numbers of seconds between commas, or empty, not {value!r}.")
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


def _said(wanted: Any) -> str:
    """Name a type the way a person would."""
    origin = get_origin(wanted)
    if origin is Literal:
        return "one of " + ", ".join(repr(allowed) for allowed in get_args(wanted))
    if origin in (Union, UnionType):
        return " or ".join(_said(one) for one in get_args(wanted))
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null"}
    return names[wanted]
