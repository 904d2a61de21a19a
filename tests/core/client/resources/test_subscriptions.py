from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.subscriptions import (
    Subscription,
    SubscriptionChanges,
    SubscriptionFilter,
    SubscriptionLimits,
    SubscriptionSpec,
    describe_too_many_enabled,
    describe_too_many_filters,
    is_same_address,
    normalize_filters,
    parse_filters,
    plan_changes,
)

ENTITIES, ACTIONS = ("client", "project", "time_entry"), ("created", "updated", "deleted")
CALLBACK = "https://airflow.example.org/toggl/webhooks/toggl_default"
SECRET = "whsec-3f0d"

ANYTHING = (SubscriptionFilter("*", "*"),)
ENTRIES = (SubscriptionFilter("time_entry", "*"),)
PROJECTS = (SubscriptionFilter("project", "*"),)


def wanted(**fields) -> SubscriptionSpec:
    return replace(SubscriptionSpec("airflow", ENTRIES, CALLBACK, SECRET), **fields)


def found(**fields) -> Subscription:
    return replace(Subscription(1, "airflow", ENTRIES, CALLBACK, enabled=True, validated=True), **fields)


def parse(*given):
    return parse_filters(given, entities=ENTITIES, actions=ACTIONS)


# -- filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "filters"),
    [
        ("time_entry", ["time_entry:*"]),
        ("time_entry:updated", ["time_entry:updated"]),
        ("*:*", ["*:*"]),
        ("*", ["*:*"]),
        ({"entity": "project", "action": "deleted"}, ["project:deleted"]),
        ({"entity": "project"}, ["project:*"]),
    ],
    ids=str,
)
def test_a_filter_has_several_forms(given, filters):
    assert [str(one) for one in parse(given)] == filters


def test_text_with_commas_is_several_filters():
    filters = parse_filters("time_entry, project:created", entities=ENTITIES, actions=ACTIONS)
    assert [str(one) for one in filters] == ["project:created", "time_entry:*"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("time_entries", ["'time_entries'", "client, project, time_entry"]),
        ("time_entry:changed", ["'changed'", "created, updated, deleted"]),
        ("time_entry:", ["''"]),
        ({"entity": "nothing", "action": "*"}, ["'nothing'"]),
        ({"model": "project"}, ["a filter is text"]),
        (7, ["a filter is text"]),
        ([], ["at least one"]),
    ],
    ids=str,
)
def test_the_error_for_an_unknown_word_lists_the_known_ones(given, words):
    with pytest.raises(errors.ConfigurationError) as caught:
        parse_filters(given, entities=ENTITIES, actions=ACTIONS)
    assert all(word in str(caught.value) for word in words)


def test_filters_that_others_cover_are_dropped():
    assert parse("time_entry:updated", "time_entry", "time_entry:updated", "project:created") == (
        SubscriptionFilter("project", "created"),
        SubscriptionFilter("time_entry", "*"),
    )
    assert parse("time_entry", "*:deleted", "*:*") == ANYTHING


words = st.builds(SubscriptionFilter, st.sampled_from([*ENTITIES, "*"]), st.sampled_from([*ACTIONS, "*"]))
several = st.lists(words, min_size=1, max_size=6).map(tuple)


@given(several)
def test_normalized_filters_match_the_same_events_without_duplicates(filters):
    short = normalize_filters(filters)
    events = [SubscriptionFilter(entity, action) for entity in ENTITIES for action in ACTIONS]

    def through(some):
        return [event for event in events if any(one.covers(event) for one in some)]

    assert through(short) == through(filters)
    assert not [one for one in short for other in short if one != other and one.covers(other)]
    assert normalize_filters(short) == short


# -- rows of Toggl -----------------------------------------------------------------------------------------------------


def test_a_row_is_read():
    row = {
        "subscription_id": 8,
        "workspace_id": 7,
        "user_id": 5,
        "enabled": True,
        "description": "airflow",
        "event_filters": [{"entity": "time_entry", "action": "*"}, {"entity": "time_entry", "action": "updated"}],
        "url_callback": CALLBACK,
        "secret": SECRET,
        "validated_at": "2026-05-31T02:50:45.984607Z",
        "has_pending_events": False,
    }
    assert Subscription.from_http(row) == found(subscription_id=8, user_id=5, secret=SECRET)


@pytest.mark.parametrize("secret", [None, "", "********"], ids=["null", "empty", "masked"])
def test_a_missing_or_masked_secret_is_none(secret):
    assert Subscription.from_http({"subscription_id": 8, "secret": secret}).secret is None


@pytest.mark.parametrize("row", [None, [], {}, {"subscription_id": "8"}, {"subscription_id": True}], ids=str)
def test_a_row_without_an_id_is_malformed(row):
    with pytest.raises(errors.MalformedAnswer):
        Subscription.from_http(row)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["user_id", "enabled", "description", "event_filters", "url_callback", "secret", "validated_at"]
        ),
        json_values,
    )
)
def test_a_row_with_any_other_fields_is_read(row):
    assert Subscription.from_http({"subscription_id": 3, **row}).subscription_id == 3


def test_repr_and_result_do_not_contain_the_secret():
    assert SECRET not in repr(wanted())
    assert SECRET not in repr(found(secret=SECRET))
    assert SECRET not in str(found(secret=SECRET).as_dict())


def test_a_result_does_not_contain_the_query_of_the_callback():
    assert found(callback_url=CALLBACK + "?key=1").as_dict()["callback_url"] == CALLBACK


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_a_missing_subscription_is_created():
    plan = plan_changes(wanted(), [found(description="other", callback_url="https://other.example.org/x")])
    assert (plan.action, plan.target, plan.enables) == ("create", None, True)


@pytest.mark.parametrize(
    ("there", "action", "differences"),
    [
        ({"filters": PROJECTS}, "replace", ("filters",)),
        ({"callback_url": "https://old.example.org/hook"}, "replace", ("callback_url",)),
        ({"secret": "another"}, "replace", ("secret",)),
        ({"enabled": False}, "enable", ("enabled",)),
        ({"enabled": False, "filters": PROJECTS}, "replace", ("filters", "enabled")),
        ({"description": "by hand"}, "replace", ("description",)),
        ({"description": "by hand", "filters": ANYTHING}, "replace", ("description", "filters")),
        (
            {"description": "by hand", "filters": (SubscriptionFilter("time_entry", "created"),)},
            "replace",
            ("description", "filters"),
        ),
    ],
    ids=str,
)
def test_differences_are_changed_with_one_request(there, action, differences):
    plan = plan_changes(wanted(), [found(**there)])
    assert (plan.action, plan.differences) == (action, differences)
    assert plan.adopts == ("description" in there)


def test_a_subscription_declared_as_disabled_is_disabled():
    assert plan_changes(wanted(enabled=False), [found()]).action == "disable"


def test_a_hidden_secret_is_sent_only_for_a_rotation():
    assert plan_changes(wanted(), [found()]).action == "nothing"
    assert plan_changes(wanted(), [found(secret=SECRET)]).action == "nothing"
    assert plan_changes(wanted(), [found()], rotate_secret=True).differences == ("secret",)
    assert plan_changes(wanted(), [found(secret=SECRET)], rotate_secret=True).action == "nothing"


def test_the_description_takes_precedence_over_the_callback():
    by_name = found(subscription_id=9, callback_url="https://old.example.org/hook")
    by_callback = found(subscription_id=2, description="by hand")
    plan = plan_changes(wanted(), [by_callback, by_name])
    assert plan.target == by_name
    assert plan.beside == (by_callback,)


def test_two_subscriptions_with_one_callback_and_different_filters_do_not_change_each_other():
    one, other = wanted(description="entries"), wanted(description="projects", filters=PROJECTS)
    toggl = Toggl()
    for each in (one, other, one, other):
        toggl.apply(each)
    assert [there.description for there in toggl.subscriptions] == ["entries", "projects"]
    assert toggl.changes == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (CALLBACK, CALLBACK, True),
        ("https://Example.org:443", "https://example.org/", True),
        ("http://example.org/x", "https://example.org/x", False),
        ("https://example.org/x", "https://example.org/X", False),
        ("https://example.org/x?a=1", "https://example.org/x", False),
        ("https://[broken", "https://[broken", True),
        ("https://[broken", "https://example.org", False),
    ],
)
def test_urls_are_compared_by_their_meaning(one, other, same):
    assert is_same_address(one, other) is same


# -- the limits --------------------------------------------------------------------------------------------------------


def test_the_error_for_too_many_filters_names_them():
    many = wanted(filters=tuple(SubscriptionFilter(entity, "created") for entity in ENTITIES))
    assert describe_too_many_filters(many, SubscriptionLimits(1, 3)) is None
    assert describe_too_many_filters(many, SubscriptionLimits()) is None
    problem = describe_too_many_filters(many, SubscriptionLimits(1, 2)) or ""
    assert "client:created" in problem
    assert "Remove 1" in problem


def test_the_error_for_too_many_enabled_subscriptions_names_them():
    other = found(subscription_id=5, description="by hand", callback_url="https://x.example.org/", user_id=3)

    def problem(most, *there, user_id=None, **declared):
        plan = plan_changes(wanted(**declared), there)
        return describe_too_many_enabled(plan, there, SubscriptionLimits(most, 3), user_id=user_id)

    assert "5 ('by hand')" in (problem(1, other) or "")
    assert problem(2, other) is None
    assert problem(None, other) is None
    assert problem(1, other, user_id=4) is None
    assert problem(1, replace(other, enabled=False)) is None
    # No further one is enabled.
    assert problem(1, found(), other, filters=ANYTHING) is None
    assert problem(1, other, enabled=False) is None


# -- any history -------------------------------------------------------------------------------------------------------


class Toggl:
    """As much of Toggl as a plan is about; it refuses what Toggl refuses."""

    def __init__(self, subscriptions=(), *, shows_secrets=True, limits=None) -> None:
        self.secrets = {one.subscription_id: one.secret for one in subscriptions}
        self.subscriptions = [one if shows_secrets else replace(one, secret=None) for one in subscriptions]
        self.shows_secrets = shows_secrets
        self.limits = limits or SubscriptionLimits()
        self.changes = 0

    def plan(self, wanted: SubscriptionSpec, **options) -> SubscriptionChanges:
        return plan_changes(wanted, self.subscriptions, **options)

    def apply(self, wanted: SubscriptionSpec, **options) -> Subscription:
        plan = self.plan(wanted, **options)
        self.changes += plan.action != "nothing"
        target = plan.target
        if target is None:
            number = 1 + max((one.subscription_id for one in self.subscriptions), default=0)
            return self._put(None, self._made(number, wanted))
        if plan.action == "nothing":
            return target
        if plan.action == "replace":
            return self._put(target, self._made(target.subscription_id, wanted))
        return self._put(target, replace(target, enabled=wanted.enabled))

    def _made(self, number: int, wanted: SubscriptionSpec) -> Subscription:
        self.secrets[number] = wanted.secret
        shown = wanted.secret if self.shows_secrets else None
        return Subscription(
            number,
            wanted.description,
            normalize_filters(wanted.filters),
            wanted.callback_url,
            wanted.enabled,
            False,
            shown,
        )

    def _put(self, old: Subscription | None, new: Subscription) -> Subscription:
        others = [one for one in self.subscriptions if one is not old]
        assert new.description not in {one.description for one in others}, "description in use"
        if new.enabled and not (old and old.enabled) and self.limits.max_webhooks is not None:
            assert sum(one.enabled for one in others) < self.limits.max_webhooks, "limit reached"
        self.subscriptions = [*others, new]
        return new


names, callbacks = (
    st.sampled_from("abc"),
    st.sampled_from([CALLBACK, "https://x.example.org/1", "https://x.example.org/2"]),
)
secrets = st.sampled_from(["s1", "s2"])
wishes = st.builds(SubscriptionSpec, names, several, callbacks, secrets, st.booleans())
histories = st.lists(
    st.builds(
        Subscription,
        st.integers(1, 50),
        names,
        several.map(normalize_filters),
        callbacks,
        st.booleans(),
        st.booleans(),
        secrets,
    ),
    max_size=4,
    unique_by=(lambda one: one.subscription_id, lambda one: one.description),
)


def is_so(wanted: SubscriptionSpec, found: Subscription) -> bool:
    return (found.description, found.filters, found.callback_url, found.enabled) == (
        wanted.description,
        normalize_filters(wanted.filters),
        wanted.callback_url,
        wanted.enabled,
    )


@given(wishes, histories, st.booleans(), st.booleans())
def test_one_change_is_enough_and_then_nothing_changes(wish, history, shows_secrets, rotate):
    toggl = Toggl(history, shows_secrets=shows_secrets)
    before = {one.subscription_id: one for one in toggl.subscriptions}
    made = toggl.apply(wish, rotate_secret=rotate)
    assert is_so(wish, made)
    assert toggl.plan(wish).action == "nothing"
    assert toggl.changes <= 1
    if shows_secrets or rotate:
        assert toggl.secrets[made.subscription_id] == wish.secret
    untouched = [one for one in toggl.subscriptions if one is not made]
    assert all(before[one.subscription_id] == one for one in untouched)
    assert len(toggl.subscriptions) >= len(history)


@given(wishes, histories, st.integers(1, 3))
def test_a_change_that_passes_the_check_is_within_the_limit(wish, history, most):
    toggl = Toggl(history, limits=SubscriptionLimits(most, None))
    plan = toggl.plan(wish)
    if describe_too_many_enabled(plan, toggl.subscriptions, toggl.limits) is None:
        toggl.apply(wish)
    else:
        with pytest.raises(AssertionError, match="limit"):
            toggl.apply(wish)
