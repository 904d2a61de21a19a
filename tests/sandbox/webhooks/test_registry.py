from __future__ import annotations

from collections import deque

import pytest
from support.sandbox_webhooks import write_subscription
from support.sandboxes import build_still_world

from airflow_provider_toggl.sandbox import mutate_odd
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.mutate import mutate
from airflow_provider_toggl.sandbox.workspace.world import World


@pytest.fixture
def world() -> World:
    return build_still_world(entries=40)


@pytest.fixture
def book(world: World) -> WebhookRegistry:
    """A book that hears of all changes."""
    book = WebhookRegistry(world)
    world.listeners.append(book.make_events)
    return book


@pytest.mark.parametrize(
    ("plan", "limits"), [("free", (1, 3)), ("starter", (2, 6)), ("premium", (3, 12)), ("enterprise", (100, 27))]
)
def test_the_plan_limits_webhooks_and_their_filters(book: WebhookRegistry, plan: str, limits: tuple[int, int]) -> None:
    book.world.settings.update({"plan": plan})
    assert book.limits() == limits


@pytest.mark.parametrize("lacks", ["enabled", "validated_at", "deleted_at"])
def test_only_who_is_enabled_and_validated_and_not_deleted_is_told(
    book: WebhookRegistry, world: World, lacks: str
) -> None:
    values = {"enabled": False, "validated_at": None, "deleted_at": world.now()}
    write_subscription(book, world, **{lacks: values[lacks]})
    mutate(world, seed=1, n=5)
    assert book.events_after(0) == []


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ((("*", "*"),), {"tag created", "tag updated", "client created"}),
        ((("tag", "*"),), {"tag created", "tag updated"}),
        ((("*", "created"),), {"tag created", "client created"}),
        ((("tag", "created"), ("client", "created")), {"tag created", "client created"}),
        ((("tag", "deleted"), ("workspace", "*"), ("never_heard_of", "*")), set()),
    ],
)
def test_filters_let_through_what_they_name(
    book: WebhookRegistry, world: World, filters: tuple[tuple[str, str], ...], told: set[str]
) -> None:
    write_subscription(book, world, filters=filters)
    for kind in ("create_tag", "rename_tag", "create_client"):
        mutate(world, seed=1, n=1, kinds=[kind])
    assert {f"{event.entity} {event.action}" for event in book.events_after(0)} == told


@pytest.mark.parametrize("kind", mutate_odd.KINDS)
def test_rare_changes_are_told_too(book: WebhookRegistry, world: World, kind: str) -> None:
    write_subscription(book, world)
    (done,) = mutate(world, seed=1, n=1, kinds=[kind])
    assert len(book.events_after(0)) == len(done["ids"])


def test_each_subscription_has_an_event_of_its_own_of_a_change(book: WebhookRegistry, world: World) -> None:
    for name in "ab":
        write_subscription(book, world, description=name)
    mutate(world, seed=1, n=1, kinds=["create_tag"])
    one, other = book.events_after(0)
    assert one.subscription_id != other.subscription_id
    assert one.id != other.id
    assert one.payload is other.payload


def test_ids_of_events_rise_past_what_a_double_can_hold(book: WebhookRegistry, world: World) -> None:
    write_subscription(book, world)
    mutate(world, seed=1, n=40)
    ids = [event.id for event in book.events_after(0)]
    assert ids[0] == world.settings.webhook_first_event_id
    assert ids == sorted(set(ids))
    assert ids[0] < 2**53 < ids[-1]


def test_an_event_keeps_what_the_thing_was_when_it_changed(book: WebhookRegistry, world: World) -> None:
    write_subscription(book, world)
    tag = world.tags[next(iter(world.tags))]
    for name in ("first", "second"):
        world.change(tag, {"name": name}, world.owner)
    assert ["first" in event.payload for event in book.events_after(0)] == [True, False]


def test_old_events_are_forgotten_and_counting_goes_on(book: WebhookRegistry, world: World) -> None:
    write_subscription(book, world)
    book.events = deque(maxlen=3)
    mutate(world, seed=1, n=5, kinds=["create_tag"])
    kept = book.events_after(0)
    assert (book.made, len(kept)) == (5, 3)
    assert book.events_after(4) == kept[2:]
    assert book.events_after(9) == []


def test_the_log_has_what_was_attempted_within_a_week_newest_first(book: WebhookRegistry, world: World) -> None:
    subscription = write_subscription(book, world)
    other = write_subscription(book, world, description="other", filters=(("client", "*"),))
    mutate(world, seed=1, n=3, kinds=["create_tag"])
    first, _, third = book.events_after(0)
    first.attempts = third.attempts = 1
    assert book.log_of(subscription.id) == [third, first]
    assert book.log_of(other.id) == []
    world.advance(7 * 86_400 + 1)
    assert book.log_of(subscription.id) == []


def test_what_nobody_wants_costs_nothing_to_keep(book: WebhookRegistry, world: World) -> None:
    mutate(world, seed=1, n=20)
    assert (book.made, len(book.events)) == (0, 0)
