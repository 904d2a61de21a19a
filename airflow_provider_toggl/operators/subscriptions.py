"""Operators that declare, list, check and delete webhook subscriptions, and replay missed events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.arguments import Parser, is_blank, parse_flag, parse_id, parse_text, required
from airflow_provider_toggl.core.client.resources.ensure_subscription import (
    EnsureResult,
    ensure_subscription,
    ensure_validated,
    set_enabled,
)
from airflow_provider_toggl.core.client.resources.subscriptions import (
    Subscription,
    SubscriptionFilter,
    SubscriptionSpec,
    parse_filters,
)
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.errors import ConfigurationError, NotFound
from airflow_provider_toggl.core.events.entities import ACTIONS, ENTITIES
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.hooks.activity import record_declaration
from airflow_provider_toggl.hooks.connections import get_callback_url, get_webhook_secret
from airflow_provider_toggl.hooks.subscriptions import find_validation_code, open_webhooks
from airflow_provider_toggl.operators.quota_deferral import QuotaDeferral


def _parse_filters(_: str, value: Any) -> tuple[SubscriptionFilter, ...]:
    return parse_filters(value, entities=ENTITIES, actions=ACTIONS)


class _SubscriptionOperator(QuotaDeferral):
    """Base of the operators on webhook subscriptions."""

    ui_color = "#f5e1f0"

    def open_client(self) -> WebhooksClient:
        """Return the client for the subscriptions of the workspace."""
        return open_webhooks(self.toggl_conn_id, self.workspace_id)


class TogglEnsureSubscriptionOperator(_SubscriptionOperator):
    """Make a webhook subscription match its declaration: create, replace, enable or validate it, or do nothing.

    This takes one request if nothing has to change. The subscription is found by its description, or else by the same
    callback and overlapping filters. The plan's limits are checked before anything is changed. Toggl signs deliveries
    with ``webhook_secret`` of the connection.

    :param description: name of the subscription, unique in the workspace. (templated)
    :param filters: ``time_entry``, ``time_entry:updated``, ``*:*`` or ``{"entity": …, "action": …}``. (templated)
    :param callback_url: the URL that Toggl delivers to; by default the connection's ``webhook_callback_url``. A URL
        without a path gets the receiver's path. (templated)
    :param enabled: False keeps the subscription and stops its deliveries. (templated)
    :param validate: validate the subscription. Toggl delivers nothing before that. (templated)
    :param rotate_secret: send the connection's secret even if Toggl does not show which one it has; for one run after
        the secret was changed. (templated)
    """

    template_fields: Sequence[str] = (
        *QuotaDeferral.template_fields,
        "description",
        "filters",
        "callback_url",
        "enabled",
        "validate",
        "rotate_secret",
    )
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **QuotaDeferral.argument_parsers,
        "description": required(parse_text),
        "filters": required(_parse_filters),
        "callback_url": parse_text,
        "enabled": required(parse_flag),
        "validate": required(parse_flag),
        "rotate_secret": required(parse_flag),
    }

    def __init__(
        self,
        *,
        description: str,
        filters: str | Sequence[str | Mapping[str, str]] = ("*:*",),
        callback_url: str | None = None,
        enabled: bool = True,
        validate: bool = True,
        rotate_secret: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.filters: Any = filters
        self.callback_url = callback_url
        self.enabled = enabled
        self.validate = validate
        self.rotate_secret = rotate_secret
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Make the subscription match; return what was done and the subscription as it is now."""
        spec = SubscriptionSpec(
            description=self.description,
            filters=self.filters,
            callback_url=get_callback_url(self.toggl_conn_id, self.callback_url),
            secret=get_webhook_secret(self.toggl_conn_id),
            enabled=self.enabled,
        )
        filters = [str(one) for one in spec.filters]
        declared = {"description": spec.description, "filters": filters, "enabled": spec.enabled}
        record_declaration(self.toggl_conn_id, declared)
        webhooks = self.open_client()
        result = ensure_subscription(
            webhooks,
            spec,
            rotate_secret=self.rotate_secret,
            validate=self.validate,
            find_code=lambda number: find_validation_code(self.toggl_conn_id, number),
        )
        action, requests = result.changes.action, webhooks.session.spent
        number = result.subscription.subscription_id
        with fields(connection=self.toggl_conn_id, requests=requests, subscription_id=number, action=action):
            self._log_result(result)
        metrics.ENSURED.add(connection=self.toggl_conn_id, action=action)
        return {
            "action": action,
            "adopted": result.changes.adopts,
            "differences": list(result.changes.differences),
            "requests": requests,
            **result.subscription.as_dict(),
        }

    def _log_result(self, result: EnsureResult) -> None:
        one = result.subscription
        self.log.info(
            "Subscription %d (%r): %s; %s, %s.",
            one.subscription_id,
            one.description,
            "no change" if result.changes.action == "nothing" else result.changes.action,
            "enabled" if one.enabled else "disabled",
            "validated" if one.validated else "not validated",
        )


class _OneSubscriptionOperator(_SubscriptionOperator):
    """Base of the operators on one existing subscription.

    :param description: its name, which costs one request more than its ID. (templated)
    :param subscription_id: its ID in Toggl, instead of the description. (templated)
    """

    template_fields: Sequence[str] = (*QuotaDeferral.template_fields, "description", "subscription_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **QuotaDeferral.argument_parsers,
        "description": parse_text,
        "subscription_id": parse_id,
    }
    checked_together = frozenset({"description", "subscription_id"})

    def __init__(
        self, *, description: str | None = None, subscription_id: int | str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.subscription_id: Any = subscription_id
        self.check_arguments()

    def check_together(self) -> None:
        """Check that a description or an ID is given."""
        if is_blank(self.subscription_id) and is_blank(self.description):
            raise ConfigurationError("The subscription is not given: set description or subscription_id.")

    def _get_id(self, webhooks: WebhooksClient) -> int:
        """Return the ID of the subscription.

        :raises NotFound: none has the description.
        """
        number: int | None = self.subscription_id
        return self._get(webhooks).subscription_id if number is None else number

    def _get(self, webhooks: WebhooksClient) -> Subscription:
        self.check_together()
        number: int | None = self.subscription_id
        existing = webhooks.subscriptions()
        for one in existing:
            if one.subscription_id == number if number is not None else one.description == self.description:
                return one
        listed = ", ".join(f"{one.subscription_id} ({one.description!r})" for one in existing)
        raise NotFound(
            f"There is no subscription {number or repr(self.description)} in the workspace. It has: "
            f"{listed or 'none'}.",
            status=404,
        )


class TogglSetSubscriptionEnabledOperator(_OneSubscriptionOperator):
    """Enable or disable a webhook subscription. When it is enabled, Toggl sends a PING to the callback.

    :param enabled: True to enable it, False to disable it. (templated)
    """

    template_fields: Sequence[str] = (*_OneSubscriptionOperator.template_fields, "enabled")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_OneSubscriptionOperator.argument_parsers,
        "enabled": required(parse_flag),
    }

    def __init__(self, *, enabled: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.enabled = enabled
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Enable or disable the subscription; return it as it is after that."""
        webhooks = self.open_client()
        return set_enabled(webhooks, self._get_id(webhooks), self.enabled).as_dict()


class TogglPingSubscriptionOperator(_OneSubscriptionOperator):
    """Have Toggl send a PING to a subscription's callback, to test that it can be reached."""

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Send the PING; return the status that Toggl reports."""
        webhooks = self.open_client()
        number = self._get_id(webhooks)
        return {"subscription_id": number, "status": webhooks.ping(number)}


class TogglValidateSubscriptionOperator(_OneSubscriptionOperator):
    """Validate a webhook subscription. Toggl delivers nothing before that.

    :param validation_code: code of a PING, for a receiver other than this package's. By default the code that the
        receiver has stored, or that of a new PING. (templated)
    """

    template_fields: Sequence[str] = (*_OneSubscriptionOperator.template_fields, "validation_code")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **_OneSubscriptionOperator.argument_parsers,
        "validation_code": parse_text,
    }

    def __init__(self, *, validation_code: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.validation_code = validation_code
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Validate the subscription; return it as it is after that."""
        webhooks = self.open_client()
        one = self._get(webhooks)
        if one.validated:
            return one.as_dict()
        given = self.validation_code

        def find_code(number: int) -> str | None:
            return given or find_validation_code(self.toggl_conn_id, number)

        return ensure_validated(webhooks, one, fresh=False, find_code=find_code).as_dict()


class TogglDeleteSubscriptionOperator(_OneSubscriptionOperator):
    """Delete a webhook subscription. The task succeeds if there is none."""

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Delete the subscription; return whether it existed."""
        webhooks = self.open_client()
        try:
            number: int | None = self._get_id(webhooks)
        except NotFound as error:
            self.log.info("%s", error)
            number = None
        return {"subscription_id": number, "deleted": number is not None and webhooks.delete(number)}


class TogglListSubscriptionsOperator(_SubscriptionOperator):
    """List the webhook subscriptions of a workspace that the token can see."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the subscriptions without their secrets."""
        return [one.as_dict() for one in self.open_client().subscriptions()]


class TogglReplayEventsOperator(_OneSubscriptionOperator):
    """Append events of the last week that Toggl tried to deliver and that the event store does not have.

    If Toggl does not have that log, the task logs a warning and succeeds. The incremental pull
    (:class:`~airflow_provider_toggl.transfers.toggl_to_sql.TogglToSqlOperator`) then finds what was missed.
    """

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Read and append the events; return the counts."""
        from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - parsing a DAG opens no store
        from airflow_provider_toggl.operators.replay import ReplayProgress, replay_log  # noqa: PLC0415 - likewise

        webhooks = self.open_client()
        state = ReplayProgress(**progress.get("state", {}))
        number = progress.get("subscription_id") or self._get_id(webhooks)
        try:
            with open_event_store(self.toggl_conn_id) as store:
                replay_log(webhooks, store, number, conn_id=self.toggl_conn_id, state=state)
        finally:
            progress.update({"subscription_id": number, "state": asdict(state)})
        if not state.served:
            self.log.warning(
                "Toggl does not have the log of events. The incremental pull (TogglToSqlOperator) finds what was "
                "created and changed meanwhile; of several changes to one entry it sees the last."
            )
        elif not state.is_complete:
            self.log.warning(
                "Only %s of %s were read, because the log changed meanwhile. Run this again; no event is stored twice.",
                state.distinct,
                plural(state.total or 0, "event"),
            )
        return {"subscription_id": number, **state.as_dict()}
