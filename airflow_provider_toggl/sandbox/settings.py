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

    The comment above a setting is its row in the reference: what it means when it is true, and where its default comes
    from. Without a source the default is invented, because Toggl does not document it.
    """

    #: The organization's plan: `free`, `starter`, `premium` or `enterprise`. Source: documented.
    plan: Plan = "free"
    #: Requests per window in the organization lane; `null`: 30, 240, 600 by plan (enterprise: 10,000). Source:
    #: documented; enterprise invented.
    organization_quota: int | None = None
    #: Requests per window in the user lane; `null`: 30. Source: documented.
    user_quota: int | None = None
    #: The quota is enforced; false: requests are counted, never refused, and answers lack its headers. Source:
    #: documented.
    quota_enforced: bool = True
    #: Length of a quota window in seconds. Source: documented.
    quota_window_seconds: float = 3600.0
    #: A window is `fixed`, from the first request to its end, or `sliding`: each request counts for one window. Source:
    #: documented as both.
    quota_kind: Literal["fixed", "sliding"] = "fixed"
    #: Requests per second of the leaky bucket; 0: no limit. Source: documented as the safe pace.
    bucket_rate: float = 1.0
    #: Capacity of the leaky bucket.
    bucket_capacity: float = 1.0
    #: A leaky bucket per token and address is enforced. Source: documented; off for convenience.
    bucket_enforced: bool = False
    #: Largest page of the detailed report.
    largest_page_size: int = 1000
    #: Most days in a report. Source: observed.
    report_range_days: int = 365

    #: Entries that reports show to non-administrators: their `own`, or `all`.
    report_shows_members: Literal["own", "all"] = "own"
    #: Free plan: entries that started more days ago are hidden in reports and below `/me`; `null`: no limit.
    retention_days: int | None = None
    #: Workspace and organization have `max_data_retention_days` (0: no limit). Source: documented; values invented.
    retention_reported: bool = False
    #: Reports `filter` by `time_entry_ids`, or `ignore` it and answer the whole range. Source: documented as kept for
    #: v2.
    report_time_entry_ids: Literal["filter", "ignore"] = "filter"
    #: A `page_size` above the largest: `cap` it, or `refuse` it with 400.
    page_size_over_largest: Literal["cap", "refuse"] = "cap"
    #: Whether both ends count: 1 January to 1 January of the next year is 365 days (`difference`) or 366 (`inclusive`).
    report_range_counts: Literal["difference", "inclusive"] = "difference"
    #: Reports have running entries.
    report_includes_running: bool = True
    #: No description is `""` in reports; false: null, as in v9.
    report_no_description_is_empty: bool = False
    #: `seconds` of a running entry in reports: `negative` as v9's duration, or `elapsed`.
    report_running_seconds: Literal["negative", "elapsed"] = "negative"
    #: Rounding 0 with rounding minutes: to the `nearest` (v9's workspace) or `none` (shared reports). Source:
    #: documented as both.
    report_rounding_zero: Literal["nearest", "none"] = "nearest"
    #: `start` and `stop` in reports: in the token owner's zone (`user`), or `utc`. Source: observed.
    report_times: Literal["user", "utc"] = "user"
    #: Summaries give `ids` of time entries on request. Source: documented.
    summary_gives_ids: bool = True
    #: Where `ids` of a summary are: `sub_groups`, `groups` or `both`. Source: invented; definitions have both.
    summary_ids_where: Literal["sub_groups", "groups", "both"] = "sub_groups"
    #: `at` of time entries: `micros` with `Z` (December 2024), or `seconds` with `+00:00` and `permissions` null (April
    #: 2024). Source: observed, both.
    v9_at: Literal["micros", "seconds"] = "micros"
    #: `duration` of a running entry in v9: minus its start, or `minus_one`. Source: observed; -1 documented.
    running_duration: Literal["minus_start", "minus_one"] = "minus_start"
    #: No tags of an entry, when read: `empty` (`[]`) or `null`. Source: observed; null documented.
    no_tags: Literal["empty", "null"] = "empty"
    #: `/me/time_entries/current` when nothing runs: `null` or `404`. Source: observed; 404 documented.
    current_when_idle: Literal["null", "404"] = "null"
    #: A wrong token: 401 with no body, or 403. Source: 401 observed, 403 documented.
    wrong_token_status: Literal[401, 403] = 401
    #: Deleting a tag moves `at` of its entries. Source: observed.
    tag_deletion_moves_at: bool = False
    #: Deleting a task moves `at` of its entries.
    task_deletion_moves_at: bool = True
    #: Deleting a project moves `at` of its remaining entries.
    project_deletion_moves_at: bool = True
    #: Deleting a client moves `at` of its projects.
    client_deletion_moves_at: bool = True
    #: A listed deleted client has `server_deleted_at`. Source: invented; absent from the definition.
    clients_report_deletion: bool = True
    #: An entry without `created_with` is refused. Source: documented.
    created_with_needed: bool = True
    #: How many days back `since` and `start_date` of `/me/time_entries` reach. Source: observed for `start_date`.
    me_entries_horizon_days: int = 90
    #: How many days back `/me/time_entries` goes without parameters. Source: observed: at least 15.
    me_entries_default_days: int = 90
    #: A billable entry is a 402 on the free plan (the text is in Toggl's apps).
    billable_needs_paid_plan: bool = True
    #: A new task is a 402 on the free plan.
    tasks_need_paid_plan: bool = True
    #: Largest page of tags.
    tags_largest_per_page: int = 200
    #: Answers have keys of the definitions of 2026 that the recordings of 2024 lack. Source: documented.
    newer_keys: bool = True
    #: `/workspaces/{id}/users` has those who left, unmarked, unless `exclude_deleted`. Source: documented by that
    #: parameter.
    users_list_deleted: bool = True
    #: Lists have the labor costs of users on premium plans; false: null, as for a token whose owner may not see them.
    labor_costs_shown: bool = True
    #: Histories of rates have deleted ones, with `deleted_at`. Source: documented by that field.
    rates_list_deleted: bool = True
    #: `/workspaces/{id}/timesheets` answers an `array` with one envelope, or the envelope, an `object`, as other lists
    #: do. Source: documented.
    timesheets_answer: Literal["array", "object"] = "array"
    #: The key of the time of a record of the audit log. Source: invented; no field of it is documented.
    audit_log_time: Literal["created_at", "at"] = "created_at"
    #: The history of a timesheet has `events`, or the week's `entries`. Source: documented as entries, in words as
    #: events; fields of events invented.
    timesheet_history_answer: Literal["events", "entries"] = "events"
    #: `/workspaces/{id}/project_groups` without `project_ids` is refused. Source: documented as required, as other
    #: parameters are that are not; invented.
    project_groups_need_ids: bool = False
    #: `/workspaces/{id}/goals` with `team_goals` is a 403 on the free plan. Source: status documented; plan invented.
    team_goals_need_paid_plan: bool = True
    #: With `team_goals`, goals are those of the team alone; false: the requesting user's own ones too.
    team_goals_alone: bool = False
    #: Without `active`, archived goals are listed too.
    goals_list_archived: bool = True
    #: Alerts are a 402 on the free plan.
    alerts_need_paid_plan: bool = True
    #: Periods of a project: an `array` up to the current one, or the current one as an `object`. Source: `array` in
    #: words, `object` in the definition.
    project_periods_answer: Literal["array", "object"] = "array"
    #: Filters of reports by `billable` and duration are a 402 on the free plan. Source: documented as premium; status
    #: invented.
    report_paid_filters_refused: bool = True
    #: Rows of a page of `filters/…` and `search/…` of reports. Source: documented for projects; others invented.
    report_lists_page_size: int = 201
    #: `GET /me/quota` costs a request.
    quota_request_counts: bool = True
    #: Reset time of an unused window, in the header and in `/me/quota`: `zero` or `window`.
    unused_quota_resets_in: Literal["zero", "window"] = "zero"
    #: A 429 has `Retry-After`.
    retry_after: bool = False
    #: `first_id` without `first_timestamp` gives no rows. Source: observed.
    first_id_needs_timestamp: bool = True
    #: POST and PUT of a tag answer an `object` or an `array`. Source: observed; array documented.
    tag_write_answer: Literal["object", "array"] = "object"
    #: The password of all users, for authentication by e-mail and password.
    password: str = "sandbox-password"  # noqa: S105 - made up, and meant to be known

    # The content of webhook events.
    #: Payload of a deletion: the `full` object, its `ids`, or `null`. Source: invented; a client requires `full`.
    webhook_deleted_payload: Literal["full", "ids", "null"] = "full"
    #: Where `metadata` has the ID: `named` (`time_entry_id`), `entity_id`, or `both`. Source: observed in 2023;
    #: `entity_id` in 2025.
    webhook_id_key: Literal["named", "entity_id", "both"] = "named"
    #: Payloads with the `legacy` keys (`wid`, `uid`, `pid`), or the `newer` ones alone. Source: observed in 2023.
    webhook_keys: Literal["legacy", "newer"] = "legacy"
    #: No tags: `captured` is `tags` `[]` beside `tag_ids` null; `empty` and `null` are both alike. Source: observed,
    #: all.
    webhook_no_tags: Literal["captured", "empty", "null"] = "captured"
    #: `<`, `>`, `&` are escaped. Source: invented: Go's default.
    webhook_escape_html: bool = True
    #: ID of the first event; the default soon passes 2^53. Source: observed: 8.3e15 in 2023, growing.
    webhook_first_event_id: int = 2**53 - 100
    #: `User-Agent` of deliveries. Source: invented; never published.
    webhook_user_agent: str = "Go-http-client/1.1"
    #: A bulk PATCH gives an event for each entry; false: none.
    webhook_bulk_events: bool = True
    #: Side effects give events: a timer stopped by another, entries of a deleted project.
    webhook_side_effect_events: bool = True
    # The delivery of webhook events.
    #: Real seconds without data from the callback until an attempt fails.
    webhook_timeout_seconds: float = 10.0
    #: Real seconds before each further attempt, separated by commas; after the last an event is given up. Empty: one
    #: attempt. Source: retries documented; times invented.
    webhook_retry_seconds: str = "0.5,1,5,30,300"
    #: Events given up in a row that disable a subscription; 0: never.
    webhook_disable_after: int = 0
    #: Each attempt has its own `timestamp`; false: that of the first one. Source: documented.
    webhook_timestamp_renewed: bool = True
    #: Concurrent deliveries of a subscription; from 2 on the order is random.
    webhook_parallel: int = 1
    # The Webhooks API.
    #: The answer to a creation already shows the validation by the PING. Source: observed; documented sample: `null`.
    webhook_validated_in_answer: bool = True
    #: Another `url_callback` must be validated again.
    webhook_url_change_unvalidates: bool = True
    #: Lists have the `secret` for the subscription's creator. Source: observed; a later documented sample lacks it.
    webhook_list_returns_secret: bool = True
    #: The log of events is served. Source: documented in 2024, not since.
    webhook_events_log: bool = True
    #: Events of a page of the log of events.
    webhook_events_page: int = 50
    #: A filter with `*` counts against the limit as one `row`, or as its `events`.
    webhook_star_counts: Literal["row", "events"] = "row"
    #: Requests to the webhooks API count in the organization lane.
    webhook_calls_count: bool = False
    #: Errors of the webhooks API: a JSON string, or plain `text`.
    webhook_errors: Literal["json", "text"] = "json"

    #: Body of the quota's 402; `{seconds}` is filled in. Source: observed.
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
