"""Webhook subscriptions from a DAG: declared, looked at, checked, and caught up with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.arguments import Parser, is_nothing, parse_flag, parse_id, parse_text, required
from airflow_provider_toggl.core.client.resources.ensure_subscription import Ensured, ensure, ensure_validated, switch
from airflow_provider_toggl.core.client.resources.subscriptions import Filter, Found, Wanted, parse_filters
from airflow_provider_toggl.core.client.resources.webhooks import Webhooks
from airflow_provider_toggl.core.errors import ConfigurationError, NotFound
from airflow_provider_toggl.core.events.message import ACTIONS, ENTITIES
from airflow_provider_toggl.core.log_fields import fields
from airflow_provider_toggl.hooks.activity import record_declaration
from airflow_provider_toggl.hooks.subscriptions import (
    find_validation_code,
    get_callback_url,
    get_webhook_secret,
    open_webhooks,
)
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.operators.quota_deferral import QuotaDeferral
from airflow_provider_toggl.operators.replay import Replay, replay_log

_COLOR = "#f5e1f0"


def _parse_filters(_: str, value: Any) -> tuple[Filter, ...]:
    return parse_filters(value, entities=ENTITIES, actions=ACTIONS)


class TogglEnsureSubscriptionOperator(QuotaDeferral):
    """See to it that a webhook subscription is as declared: create, replace, enable, validate it, or do nothing.

    One request when nothing is to do. One of the same description is taken for it; without that, one that delivers to
    the same callback and lets the same events through, more or fewer. The plan's limits are checked before anything is
    asked. Deliveries are signed with ``webhook_secret`` of the connection, and nothing else has it.

    :param description: name of the subscription, unique in the workspace. (templated)
    :param filters: ``time_entry``, ``time_entry:updated``, ``*:*`` or ``{"entity": …, "action": …}``. (templated)
    :param callback_url: where Toggl delivers to; by default the connection's ``webhook_callback_url``. Without a path
        it gets the receiver's. (templated)
    :param enabled: False keeps the subscription and stops its deliveries. (templated)
    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param validate: see to it that it is validated; Toggl delivers nothing to one that is not. (templated)
    :param rotate_secret: send the connection's secret also where Toggl does not show which one it has; for one run
        after the secret was changed. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of waiting for the quota.
    """

    template_fields: Sequence[str] = (
        "description",
        "filters",
        "callback_url",
        "enabled",
        "toggl_conn_id",
        "workspace_id",
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
    ui_color = _COLOR

    def __init__(
        self,
        *,
        description: str,
        filters: str | Sequence[str | Mapping[str, str]] = ("*:*",),
        callback_url: str | None = None,
        enabled: bool = True,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        validate: bool = True,
        rotate_secret: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.filters: Any = filters
        self.callback_url = callback_url
        self.enabled = enabled
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.validate = validate
        self.rotate_secret = rotate_secret
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Compare and do the least; return what was done and what the subscription is now."""
        wanted = self._wanted()
        record_declaration(
            self.toggl_conn_id,
            {
                "description": wanted.description,
                "filters": [str(one) for one in wanted.filters],
                "enabled": wanted.enabled,
            },
        )
        webhooks = open_webhooks(self.toggl_conn_id, self.workspace_id)
        ensured = ensure(
            webhooks,
            wanted,
            rotate_secret=self.rotate_secret,
            validate=self.validate,
            find_code=lambda number: find_validation_code(self.toggl_conn_id, number),
        )
        told = {"subscription_id": ensured.subscription.subscription_id, "action": ensured.plan.action}
        with fields(connection=self.toggl_conn_id, requests=webhooks.session.spent, **told):
            self._tell(ensured)
        metrics.ENSURED.add(connection=self.toggl_conn_id, action=ensured.plan.action)
        return {
            "action": ensured.plan.action,
            "adopted": ensured.plan.adopts,
            "differences": list(ensured.plan.differences),
            "requests": webhooks.session.spent,
            **ensured.subscription.as_dict(),
        }

    def _wanted(self) -> Wanted:
        return Wanted(
            description=self.description,
            filters=self.filters,
            callback_url=get_callback_url(self.toggl_conn_id, self.callback_url),
            secret=get_webhook_secret(self.toggl_conn_id),
            enabled=self.enabled,
        )

    def _tell(self, ensured: Ensured) -> None:
        one = ensured.subscription
        self.log.info(
            "Subscription %d (%r): %s; %s, %s.",
            one.subscription_id,
            one.description,
            "nothing was to do" if ensured.plan.action == "nothing" else ensured.plan.action,
            "enabled" if one.enabled else "disabled",
            "validated" if one.validated else "not validated",
        )


class _OneSubscriptionOperator(QuotaDeferral):
    """Of one subscription that is there.

    :param description: its name; costs one request more than its id. (templated)
    :param subscription_id: Toggl's id of it, instead of the description. (templated)
    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of waiting for the quota.
    """

    template_fields: Sequence[str] = ("description", "subscription_id", "toggl_conn_id", "workspace_id")
    argument_parsers: ClassVar[Mapping[str, Parser]] = {
        **QuotaDeferral.argument_parsers,
        "description": parse_text,
        "subscription_id": parse_id,
    }
    checked_together = frozenset({"description", "subscription_id"})
    ui_color = _COLOR

    def __init__(
        self,
        *,
        description: str | None = None,
        subscription_id: int | str | None = None,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.description = description
        self.subscription_id: Any = subscription_id
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.check_arguments()

    def check_together(self) -> None:
        """Check that it is said which subscription."""
        if is_nothing(self.subscription_id) and is_nothing(self.description):
            raise ConfigurationError("Which subscription? Give its description or its subscription_id.")

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Do it, and return what came of it."""
        raise NotImplementedError

    def _webhooks(self) -> Webhooks:
        return open_webhooks(self.toggl_conn_id, self.workspace_id)

    def _get_id(self, webhooks: Webhooks) -> int:
        """Return the id of the subscription.

        :raises NotFound: there is none of that description.
        """
        number: int | None = self.subscription_id
        return self._get(webhooks).subscription_id if number is None else number

    def _get(self, webhooks: Webhooks) -> Found:
        self.check_together()
        number: int | None = self.subscription_id
        there = webhooks.subscriptions()
        for one in there:
            if one.subscription_id == number if number is not None else one.description == self.description:
                return one
        listed = ", ".join(f"{one.subscription_id} ({one.description!r})" for one in there)
        raise NotFound(
            f"There is no subscription {number or repr(self.description)} in the workspace. There are: "
            f"{listed or 'none'}.",
            status=404,
        )


class TogglSetSubscriptionEnabledOperator(_OneSubscriptionOperator):
    """Enable or disable a webhook subscription; Toggl posts a PING to the callback of one that is enabled.

    :param enabled: which of both. (templated)
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
        """Do it; return what the subscription is now."""
        webhooks = self._webhooks()
        return switch(webhooks, self._get_id(webhooks), self.enabled).as_dict()


class TogglPingSubscriptionOperator(_OneSubscriptionOperator):
    """Let Toggl post a PING to a subscription's callback, which shows that it can be reached."""

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Ping; return what Toggl says of it."""
        webhooks = self._webhooks()
        number = self._get_id(webhooks)
        return {"subscription_id": number, "status": webhooks.ping(number)}


class TogglValidateSubscriptionOperator(_OneSubscriptionOperator):
    """Validate a webhook subscription, without which Toggl delivers nothing to it.

    :param validation_code: of a PING, where the receiver is not this package's; by default the code that the receiver
        has kept, else a new PING brings one. (templated)
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
        """Validate it; return what the subscription is now."""
        webhooks = self._webhooks()
        one = self._get(webhooks)
        if one.validated:
            return one.as_dict()
        given = self.validation_code
        validated = ensure_validated(
            webhooks,
            one,
            fresh=False,
            find_code=lambda number: given or find_validation_code(self.toggl_conn_id, number),
        )
        return validated.as_dict()


class TogglDeleteSubscriptionOperator(_OneSubscriptionOperator):
    """Delete a webhook subscription; one that is not there is as good."""

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Delete it; return whether it was there."""
        webhooks = self._webhooks()
        try:
            number: int | None = self._get_id(webhooks)
        except NotFound as error:
            self.log.info("%s", error)
            number = None
        return {"subscription_id": number, "deleted": number is not None and webhooks.delete(number)}


class TogglListSubscriptionsOperator(QuotaDeferral):
    """List the webhook subscriptions of a workspace that the token can see.

    :param toggl_conn_id: the Toggl connection. (templated)
    :param workspace_id: the workspace; the connection's by default. (templated)
    :param deferrable: False fails with ``QuotaExhausted`` instead of waiting for the quota.
    """

    template_fields: Sequence[str] = ("toggl_conn_id", "workspace_id")
    ui_color = _COLOR

    def __init__(
        self,
        *,
        toggl_conn_id: str = TogglHook.default_conn_name,
        workspace_id: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.toggl_conn_id = toggl_conn_id
        self.workspace_id = workspace_id
        self.check_arguments()

    def work(self, progress: dict[str, Any]) -> list[dict[str, Any]]:
        """Return them, without their secrets."""
        return [one.as_dict() for one in open_webhooks(self.toggl_conn_id, self.workspace_id).subscriptions()]


class TogglReplayEventsOperator(_OneSubscriptionOperator):
    """Fetch what Toggl attempted to deliver in the last week and append what the event store lacks.

    Toggl may no longer serve that log; then the task says so and succeeds, and the incremental pull
    (:class:`~airflow_provider_toggl.transfers.toggl_to_sql.TogglToSqlOperator`) finds what was missed.
    """

    def work(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Fetch and append; return the counts."""
        from airflow_provider_toggl.hooks.events import open_event_store  # noqa: PLC0415 - who only parses a DAG opens none

        webhooks = self._webhooks()
        state = Replay(**progress.get("state", {}))
        number = progress.get("subscription_id") or self._get_id(webhooks)
        try:
            with open_event_store(self.toggl_conn_id) as store:
                replay_log(webhooks, store, number, conn_id=self.toggl_conn_id, state=state)
        finally:
            progress.update({"subscription_id": number, "state": asdict(state)})
        if not state.served:
            self.log.warning(
                "Toggl does not serve the log of events here. The incremental pull (TogglToSqlOperator) finds what was "
                "created and changed meanwhile; of several changes to one entry it sees the last."
            )
        elif not state.is_complete:
            self.log.warning(
                "%d different events came of %d that the log had: it moved while it was read. Run this again; what is "
                "stored is not stored twice.",
                state.distinct,
                state.total,
            )
        return {"subscription_id": number, **state.as_dict()}
