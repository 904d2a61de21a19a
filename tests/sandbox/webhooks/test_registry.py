from __future__ import annotations

from collections import deque

import pytest
from support.sandboxes import build_still_world, write_subscription

from airflow_provider_toggl.sandbox.mutate import KINDS, ORDINARY_KINDS, mutate
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.world import World


@pytest.fixture
def world() -> World:
    return build_still_world(entries=40)


@pytest.fixture
def registry(world: World) -> WebhookRegistry:
    """A registry that receives all changes of its world."""
    registry = WebhookRegistry(world)
    world.listeners.append(registry.create_events)
    return registry


@pytest.mark.parametrize(
    ("plan", "limits"), [("free", (1, 3)), ("starter", (2, 6)), ("premium", (3, 12)), ("enterprise", (100, 27))]
)
def test_the_plan_limits_webhooks_and_their_filters(
    registry: WebhookRegistry, plan: str, limits: tuple[int, int]
) -> None:
    registry.world.settings.update({"plan": plan})
    assert registry.limits() == limits


# Webhooks report what a rate is set for, not the rate.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in (*ORDINARY_KINDS, "change_rate")])
def test_rare_changes_create_events_too(registry: WebhookRegistry, world: World, kind: str) -> None:
    write_subscription(registry, world)
    (done,) = mutate(world, seed=1, n=1, kinds=[kind])
    # Webhooks report nothing of approvals, invoices, expenses and the like.
    has_events = KINDS[kind][1] in ("time_entries", "users", "projects", "project_groups")
    assert len(registry.events_after(0)) == (len(done["ids"]) if has_events else 0)


def test_each_subscription_has_an_event_of_its_own_of_a_change(registry: WebhookRegistry, world: World) -> None:
    for name in "ab":
        write_subscription(registry, world, description=name)
    mutate(world, seed=1, n=1, kinds=["create_tag"])
    one, other = registry.events_after(0)
    assert one.subscription_id != other.subscription_id
    assert one.id != other.id
    assert one.payload is other.payload


def test_ids_of_events_rise_past_what_a_double_can_hold(registry: WebhookRegistry, world: World) -> None:
    write_subscription(registry, world)
    mutate(world, seed=1, n=40)
    ids = [event.id for event in registry.events_after(0)]
    assert ids[0] == world.settings.webhook_first_event_id
    assert ids == sorted(set(ids))
    assert ids[0] < 2**53 < ids[-1]


def test_an_event_keeps_the_record_as_it_was_then(registry: WebhookRegistry, world: World) -> None:
    write_subscription(registry, world)
    tag = world.tags[next(iter(world.tags))]
    for name in ("first", "second"):
        world.change(tag, {"name": name}, world.owner)
    assert ["first" in event.payload for event in registry.events_after(0)] == [True, False]


def test_old_events_are_forgotten_and_counting_goes_on(registry: WebhookRegistry, world: World) -> None:
    write_subscription(registry, world)
    registry.events = deque(maxlen=3)
    mutate(world, seed=1, n=5, kinds=["create_tag"])
    kept = registry.events_after(0)
    assert (registry.created, len(kept)) == (5, 3)
    assert registry.events_after(4) == kept[2:]
    assert registry.events_after(9) == []


def test_the_log_has_what_was_attempted_within_a_week_newest_first(registry: WebhookRegistry, world: World) -> None:
    subscription = write_subscription(registry, world)
    other = write_subscription(registry, world, description="other", filters=(("client", "*"),))
    mutate(world, seed=1, n=3, kinds=["create_tag"])
    first, _, third = registry.events_after(0)
    first.attempts = third.attempts = 1
    assert registry.log_of(subscription.id) == [third, first]
    assert registry.log_of(other.id) == []
    world.advance(7 * 86_400 + 1)
    assert registry.log_of(subscription.id) == []


def test_changes_without_a_subscription_keep_no_events(registry: WebhookRegistry, world: World) -> None:
    mutate(world, seed=1, n=20)
    assert (registry.created, len(registry.events)) == (0, 0)


def test_a_subscription_that_delivers_nothing_has_no_events(registry: WebhookRegistry, world: World) -> None:
    write_subscription(registry, world, enabled=False)
    write_subscription(registry, world, description="projects", filters=(("project", "*"),))
    mutate(world, seed=1, n=5, kinds=["create_tag"])
    assert registry.events_after(0) == []
